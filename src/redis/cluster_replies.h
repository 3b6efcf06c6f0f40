// What a Cluster's node says of who has what. Thread-safety: pure functions. Errors: what makes no sense is
// left out.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "redis/connection.h"
#include "redis/reply.h"

namespace pmt::redis {

/// Slots [first, last], and the master that has them.
struct SlotRange {
  std::uint32_t first = 0, last = 0;
  Endpoint node;
};

/// Of CLUSTER SLOTS, as `from` answered it: a node without a name is on the same host.
std::vector<SlotRange> ranges_of(const Reply& reply, const Endpoint& from);

/// "MOVED 3999 127.0.0.1:6381" or "ASK ...": the node, or null.
std::optional<Endpoint> redirect_of(const Reply& reply, const Endpoint& from);

}  // namespace pmt::redis
