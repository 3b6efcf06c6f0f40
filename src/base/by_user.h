// What is counted for each model, tenant and key: one tally for each of them, at most kUsersMax in all.
//
// Names come from outside: keys are configured anew while the server runs, and an entry that a caller puts into the
// response cache names any model. So each tenant's key has at most kModelsMax models; those after are counted as
// its model "other". Where kUsersMax are there, whoever is new is counted as "other" of "other". A name of more than
// kNameBytesMax bytes is "other", too. Nothing is lost: the sum over all tallies is what was counted.
// Thread-safety: any thread may call anything. Cost: a lock and a way down a map; who is new copies its names.
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace pmt::base {

inline constexpr std::size_t kUsersMax = 1000, kModelsMax = 100, kNameBytesMax = 200;
inline constexpr std::string_view kOtherName = "other";

/// Whose names these are outlives it.
struct UserView {
  std::string_view model, tenant, key;
  friend auto operator<=>(const UserView&, const UserView&) = default;
};

struct User {
  std::string model, tenant, key;  // the key's name; "" for none
  UserView view() const { return {.model = model, .tenant = tenant, .key = key}; }
  friend auto operator<=>(const User&, const User&) = default;
};

struct UserLess {
  using is_transparent = void;
  static UserView view_of(const UserView& user) { return user; }
  static UserView view_of(const User& user) { return user.view(); }
  template <class A, class B>
  bool operator()(const A& a, const B& b) const {
    return view_of(a) < view_of(b);
  }
};

template <class Tally>
class ByUser {
 public:
  using Tallies = std::map<User, Tally, UserLess>;

  /// Calls `change` with the tally of `who`, inside the lock.
  template <class Change>
  void change(const UserView& who, Change&& change) {
    const std::lock_guard lock(mutex_);
    change(tally_of(shortened(who)));
  }
  Tallies all() const {
    const std::lock_guard lock(mutex_);
    return tallies_;
  }

 private:
  static std::string_view shortened(std::string_view name) {
    return name.size() > kNameBytesMax ? kOtherName : name;
  }
  static UserView shortened(const UserView& who) {
    return {.model = shortened(who.model), .tenant = shortened(who.tenant), .key = shortened(who.key)};
  }
  std::size_t models_of(const UserView& who) const {
    return static_cast<std::size_t>(std::ranges::count_if(tallies_, [&who](const auto& known) {
      return known.first.tenant == who.tenant && known.first.key == who.key;
    }));
  }
  Tally& tally_of(UserView who) {
    if (const auto found = tallies_.find(who); found != tallies_.end()) return found->second;
    if (models_of(who) >= kModelsMax) who.model = kOtherName;
    // The last place is kept for "other" of "other".
    if (tallies_.size() + 1 >= kUsersMax && !tallies_.contains(who))
      who = {.model = kOtherName, .tenant = kOtherName, .key = kOtherName};
    return tallies_[User{std::string(who.model), std::string(who.tenant), std::string(who.key)}];
  }

  mutable std::mutex mutex_;
  Tallies tallies_;  // under mutex_
};

}  // namespace pmt::base
