// What a request asks of engines beyond what every model knows: one value for each engine's own type. The engine's
// room owns the type, the reader of it (llm/engine_options_reader.h) and what of it the response cache's key takes;
// nobody else needs to know that it exists.
//
//   struct Depth {                                              // in the engine's room
//     static constexpr std::string_view kName = "deep";         // the member of `permutation` that it is read from
//     int max = 1;
//     nlohmann::json key() const { return {{"max", max}}; }     // all of it that can change an answer
//     friend bool operator==(const Depth&, const Depth&) = default;
//   };
//   request.options.set(Depth{.max = 3});
//   request.options.get<Depth>().max
//
// A value that is like the type's default is the same as none. Values are never changed in place: set() replaces.
// Thread-safety: that of a value. Cost: a copy copies the values; lookups compare as many types as are held.
#pragma once

#include <any>
#include <concepts>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace pmt::llm {

template <class T>
concept EngineOption = std::copyable<T> && std::default_initializable<T> && std::equality_comparable<T> &&
    requires(const T& value) {
  { T::kName } -> std::convertible_to<std::string_view>;
  { value.key() } -> std::same_as<nlohmann::json>;
};

/// What the key of a request takes of one engine's options.
struct EngineKey {
  std::string_view engine;
  nlohmann::json taken;
};

class EngineOptions {
 public:
  /// Lives until set or take of the same type, and no longer than this.
  template <EngineOption T>
  const T& get() const {
    static const T kDefault{};
    for (const Held& one : held_) {
      if (const T* value = std::any_cast<T>(&one.value)) return *value;
    }
    return kDefault;
  }

  /// Requires: no other type has this name.
  template <EngineOption T>
  void set(T value) {
    (void)take<T>();
    if (value == T{}) return;
    put({.engine = T::kName, .value = std::move(value), .equal = equal<T>, .key = key<T>});
  }

  /// Moves the value out: what is left has none.
  template <EngineOption T>
  T take() {
    for (auto at = held_.begin(); at != held_.end(); ++at) {
      if (T* value = std::any_cast<T>(&at->value)) {
        T taken = std::move(*value);
        held_.erase(at);
        return taken;
      }
    }
    return T{};
  }

  /// By the engines' names. Empty where every engine's options are its defaults.
  std::vector<EngineKey> keys() const;

  friend bool operator==(const EngineOptions& a, const EngineOptions& b);

 private:
  struct Held {
    std::string_view engine;
    std::any value;
    bool (*equal)(const std::any&, const std::any&);
    nlohmann::json (*key)(const std::any&);
  };

  template <class T>
  static bool equal(const std::any& a, const std::any& b) {
    const T* left = std::any_cast<T>(&a);
    const T* right = std::any_cast<T>(&b);
    return left != nullptr && right != nullptr && *left == *right;
  }
  template <class T>
  static nlohmann::json key(const std::any& value) {
    return std::any_cast<const T&>(value).key();
  }
  void put(Held held);

  std::vector<Held> held_;  // by name; none is its type's default
};

}  // namespace pmt::llm
