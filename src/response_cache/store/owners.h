// Whose an entry or a lookup is, as a number: what the cache counts it counts for each model and tenant, and a
// shard finds a count by its index. Who is told apart says base/by_user.h (no key: an entry is its whole tenant's).
// Number 0 is whoever has no model and no tenant.
// Thread-safety: any thread. Cost: a lock and a way down a map; for number 0 nothing.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "base/by_user.h"
#include "response_cache/store/entry.h"

namespace pmt::response_cache {

class Owners {
 public:
  using Number = std::uint16_t;
  static constexpr std::size_t kMax = base::kUsersMax;
  static_assert(kMax <= std::numeric_limits<Number>::max());

  Owners() {
    numbers_.change({}, [this](Given& nobody) { nobody = {.is_new = false, .number = next_++}; });
  }

  Number of(const base::UserView& who) {
    if (who.model.empty() && who.tenant.empty()) return 0;
    Number found = 0;
    numbers_.change({.model = who.model, .tenant = who.tenant, .key = {}}, [&](Given& given) {
      if (given.is_new) given = {.is_new = false, .number = next_++};
      found = given.number;
    });
    return found;
  }
  Number of(const StoreOptions& meta) { return of({.model = meta.model, .tenant = meta.tenant, .key = {}}); }

  /// At each number who it is.
  std::vector<base::User> all() const {
    const auto numbers = numbers_.all();
    std::vector<base::User> out(numbers.size());
    for (const auto& [who, given] : numbers) out[given.number] = who;
    return out;
  }

 private:
  struct Given {
    bool is_new = true;
    Number number = 0;
  };
  Number next_ = 0;  // changed inside the lock of numbers_
  base::ByUser<Given> numbers_;
};

}  // namespace pmt::response_cache
