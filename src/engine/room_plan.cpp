#include "engine/room_plan.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace pmt::engine {

std::vector<std::size_t> plan_room(std::int64_t need, std::int64_t room,
                                   std::span<const Resident> residents) {
  std::vector<std::size_t> order(residents.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(
      order, {}, [&](std::size_t i) { return std::tuple(residents[i].busy, residents[i].last_used); });
  std::vector<std::size_t> going;
  for (const std::size_t i : order) {
    if (room >= need) break;
    room += residents[i].bytes;
    going.push_back(i);
  }
  return going;
}

}  // namespace pmt::engine
