// permutation.h for C++17 and later: handles that close themselves, results instead of codes, a range of events.
//
//   auto engine = permutation::Engine::open();
//   if (!engine) return fail(engine.error().message);
//   auto events = engine->stream(R"({"model": "permutation", "stream": true, "messages": [...]})");
//   for (std::string_view chunk : events) show(chunk);
//   if (!events.ended()) return fail(events.error().message);
//
// Nothing here throws, but std::bad_alloc and Result::value() without one. Thread-safety: an Engine and a Cache as the
// handles of permutation.h, from any thread; moving and destroying one takes one thread, as everywhere. An Events is of
// one thread, but for cancel().
#ifndef PERMUTATION_PERMUTATION_HPP
#define PERMUTATION_PERMUTATION_HPP

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "permutation/permutation.h"

namespace permutation {

struct Error {
  int code = PERMUTATION_OK;
  std::string message = {};
  std::string field = {};  // the member at fault, "" if none
};

/// A value or an Error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : content_(std::in_place_index<1>, std::move(error)) {}
  explicit operator bool() const { return content_.index() == 0; }
  /// Throws std::runtime_error where there is none.
  T& value() {
    if (content_.index() != 0) throw std::runtime_error(error().message);
    return *std::get_if<0>(&content_);
  }
  /// Requires: there is one.
  T& operator*() { return *std::get_if<0>(&content_); }
  T* operator->() { return std::get_if<0>(&content_); }
  /// Requires: there is no value.
  const Error& error() const { return *std::get_if<1>(&content_); }

 private:
  std::variant<T, Error> content_;
};

/// Done, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  explicit operator bool() const { return !error_; }
  /// Requires: it isn't done.
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

/// A text of the library's: no copy of it.
class Text {
 public:
  Text() = default;
  explicit Text(permutation_text text) : text_(text) {}
  ~Text() { permutation_text_free(&text_); }
  Text(Text&& other) noexcept : text_(std::exchange(other.text_, {})) {}
  Text& operator=(Text&& other) noexcept {
    std::swap(text_, other.text_);
    return *this;
  }
  std::string_view view() const {
    return text_.data == nullptr ? "" : std::string_view(text_.data, text_.size);
  }
  operator std::string_view() const { return view(); }
  std::string str() const { return std::string(view()); }

 private:
  permutation_text text_{};
};

namespace detail {

inline Error error_of(int code, const permutation_error& told) {
  return {code, told.message, told.field};
}

/// `call(text, error)`: one of the functions that give a text.
template <class Call>
Result<Text> text_from(Call&& call) {
  permutation_text text{};
  permutation_error error{};
  const int code = call(&text, &error);
  if (code != PERMUTATION_OK) return error_of(code, error);
  return Text(text);
}

template <class Call>
Result<void> done_by(Call&& call) {
  permutation_error error{};
  const int code = call(&error);
  if (code != PERMUTATION_OK) return error_of(code, error);
  return {};
}

/// A handle that is closed with its owner.
template <class H, int (*Close)(H*)>
class Owned {
 public:
  explicit Owned(H* handle) : handle_(handle) {}
  ~Owned() {
    if (handle_ != nullptr) Close(handle_);
  }
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  H* get() const { return handle_; }

 private:
  H* handle_;
};

}  // namespace detail

/// The events of one request, once, in order: `for (std::string_view event : events)`. Its end cancels the request.
class Events {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using pointer = const std::string_view*;
    using reference = std::string_view;
    Iterator() = default;
    explicit Iterator(Events* events) : events_(events) { ++*this; }
    reference operator*() const { return events_->event_.view(); }
    Iterator& operator++() {
      if (!events_->fetch()) events_ = nullptr;
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& a, const Iterator& b) { return a.events_ == b.events_; }
    friend bool operator!=(const Iterator& a, const Iterator& b) { return !(a == b); }

   private:
    Events* events_ = nullptr;
  };

  Events(permutation_engine* engine, permutation_call call, Error error)
      : engine_(engine), call_(call), error_(std::move(error)) {}
  ~Events() {
    if (call_ != 0) permutation_end(engine_, call_);
  }
  Events(Events&& other) noexcept
      : engine_(other.engine_),
        call_(std::exchange(other.call_, permutation_call{0})),
        event_(std::move(other.event_)),
        error_(std::move(other.error_)) {}
  Events& operator=(Events&&) = delete;

  Iterator begin() { return Iterator(this); }
  Iterator end() { return {}; }
  /// From any thread: the range ends soon, with PERMUTATION_CANCELLED.
  void cancel() const { permutation_cancel(engine_, call_); }
  /// After the loop: whether the last event was the answer's last.
  bool ended() const { return error_.code == PERMUTATION_END; }
  /// Requires: it hasn't ended.
  const Error& error() const { return error_; }

 private:
  bool fetch() {
    if (error_.code != PERMUTATION_OK) return false;
    permutation_text text{};
    permutation_error told{};
    const int code = permutation_next(engine_, call_, -1, &text, &told);
    event_ = Text(text);
    if (code != PERMUTATION_OK) error_ = detail::error_of(code, told);
    return code == PERMUTATION_OK;
  }

  permutation_engine* engine_;
  permutation_call call_;
  Text event_;
  Error error_;
};

struct Entry {
  Text value;
  std::int64_t tokens = 0;
  double usd = 0, age_s = 0;
};

/// What keeping a value saves, and how long it lives (0: until it is evicted).
struct StoreOptions {
  std::int64_t tokens = 0;
  double usd = 0, seconds = 0, ttl_s = 0;
  std::string model = {}, tag = {};
};

using Key = permutation_key;
inline Key key_of(std::string_view name) {
  return permutation_cache_key(name.data(), name.size());
}

class Cache {
 public:
  static Result<Cache> open(std::string_view config = {}) {
    permutation_cache* cache = nullptr;
    permutation_error error{};
    const int code = permutation_cache_open(config.data(), config.size(), &cache, &error);
    if (code != PERMUTATION_OK) return detail::error_of(code, error);
    return Cache(cache);
  }
  explicit Cache(permutation_cache* handle) : handle_(handle) {}

  std::optional<Entry> get(const Key& key) const {
    permutation_entry found{};
    if (permutation_cache_get(handle_.get(), &key, &found) != PERMUTATION_OK) return std::nullopt;
    return Entry{Text(found.value), found.tokens, found.usd, found.age_s};
  }
  std::optional<Entry> get(std::string_view name) const { return get(key_of(name)); }

  Result<void> store(const Key& key, std::string_view value, const StoreOptions& options = {}) const {
    permutation_store_options how{};
    how.size = sizeof how;
    how.tokens = options.tokens;
    how.usd = options.usd;
    how.seconds = options.seconds;
    how.ttl_s = options.ttl_s;
    how.model = options.model.c_str();
    how.tag = options.tag.empty() ? nullptr : options.tag.c_str();
    return detail::done_by([&](permutation_error* error) {
      return permutation_cache_store(handle_.get(), &key, value.data(), value.size(), &how, error);
    });
  }
  Result<void> store(std::string_view name, std::string_view value, const StoreOptions& options = {}) const {
    return store(key_of(name), value, options);
  }
  /// False: there was none.
  bool remove(const Key& key) const {
    return permutation_cache_remove(handle_.get(), &key) == PERMUTATION_OK;
  }

  /// What is kept under the name; else what `compute()` gives (a std::string), which is kept from then on. Of threads
  /// that ask at once, each computes.
  template <class Compute>
  std::string get_or_compute(std::string_view name, Compute&& compute,
                             const StoreOptions& options = {}) const {
    const Key key = key_of(name);
    if (const auto found = get(key)) return found->value.str();
    std::string value = compute();
    static_cast<void>(store(key, value, options));
    return value;
  }
  Result<Text> stats() const {
    return detail::text_from([this](permutation_text* text, permutation_error* error) {
      return permutation_cache_stats(handle_.get(), text, error);
    });
  }

 private:
  detail::Owned<permutation_cache, permutation_cache_close> handle_;
};

class Engine {
 public:
  static Result<Engine> open(std::string_view config = {}) {
    permutation_engine* engine = nullptr;
    permutation_error error{};
    const int code = permutation_engine_open(config.data(), config.size(), &engine, &error);
    if (code != PERMUTATION_OK) return detail::error_of(code, error);
    return Engine(engine);
  }
  static Result<Engine> open_file(const std::string& path) {
    permutation_engine* engine = nullptr;
    permutation_error error{};
    const int code = permutation_engine_open_file(path.c_str(), &engine, &error);
    if (code != PERMUTATION_OK) return detail::error_of(code, error);
    return Engine(engine);
  }

  /// A chat.completion, as JSON.
  Result<Text> complete(std::string_view request) const {
    return detail::text_from([&](permutation_text* text, permutation_error* error) {
      return permutation_complete(handle_.get(), request.data(), request.size(), text, error);
    });
  }
  /// Its events as they come. An error shows when the range is gone through.
  Events stream(std::string_view request, const char* path = nullptr) const {
    permutation_call call = 0;
    permutation_error error{};
    const int code = permutation_start(handle_.get(), path, request.data(), request.size(), &call, &error);
    return {handle_.get(), call, detail::error_of(code, error)};
  }
  /// Any other endpoint.
  Result<Text> request(const char* method, const std::string& target, std::string_view body = {}) const {
    return detail::text_from([&](permutation_text* text, permutation_error* error) {
      return permutation_request(handle_.get(), method, target.c_str(), body.data(), body.size(), text,
                                 error);
    });
  }
  Result<Text> audit() const { return request("GET", "/v1/audit"); }
  Result<Text> kv() const { return request("GET", "/v1/kv"); }

  /// Returns the report.
  Result<Text> learn(const std::string& domain, std::string_view facts) const {
    return detail::text_from([&](permutation_text* text, permutation_error* error) {
      return permutation_learn(handle_.get(), domain.c_str(), facts.data(), facts.size(), text, error);
    });
  }
  Result<void> forget(const std::string& domain) const {
    return detail::done_by([&](permutation_error* error) {
      return permutation_forget(handle_.get(), domain.c_str(), nullptr, error);
    });
  }
  Result<void> forget(const std::string& domain, const std::string& fact_id) const {
    return detail::done_by([&](permutation_error* error) {
      return permutation_forget(handle_.get(), domain.c_str(), fact_id.c_str(), error);
    });
  }
  Result<Text> knowledge() const { return request("GET", "/v1/knowledge"); }
  Result<Text> knowledge(const std::string& domain) const {
    return detail::text_from([&](permutation_text* text, permutation_error* error) {
      return permutation_knowledge(handle_.get(), domain.c_str(), text, error);
    });
  }
  /// The engine's own; it may outlive the engine.
  Result<Cache> cache() const {
    permutation_cache* cache = nullptr;
    permutation_error error{};
    const int code = permutation_engine_cache(handle_.get(), &cache, &error);
    if (code != PERMUTATION_OK) return detail::error_of(code, error);
    return Cache(cache);
  }

 private:
  explicit Engine(permutation_engine* handle) : handle_(handle) {}
  detail::Owned<permutation_engine, permutation_engine_close> handle_;
};

}  // namespace permutation

#endif
