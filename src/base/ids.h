// Strong ids: an index of one kind can't be passed where another is meant. Zero cost.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace pmt::base {

template <class Tag, class Rep = std::uint32_t>
struct Id {
  Rep value = 0;
  constexpr Id() = default;
  constexpr explicit Id(Rep v) : value(v) {}
  friend constexpr auto operator<=>(Id, Id) = default;
};

}  // namespace pmt::base

template <class Tag, class Rep>
struct std::hash<pmt::base::Id<Tag, Rep>> {
  std::size_t operator()(pmt::base::Id<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value); }
};
