// Which of several like servers gets a request, so that each server's prefix cache meets the conversations that it
// has read before (note 0033). The policy alone: who is up and how busy is told to it.
//
//   kPrefix     who was sent the longest beginning of the prompt, if that is half of it at least (sent_prefixes.h);
//               else the conversation's home by rendezvous hashing (Thaler, Ravishankar 1998). Either as long as
//               its load is bounded (Mirrokni, Thorup, Zadimoghaddam, arXiv:1608.01350); above, who has the next
//               longest, or is the next in the conversation's own order. A server that goes takes its share along
//               and nobody else's.
//   kLeastBusy  the one with the fewest requests; of equals, the first in the conversation's order.
// Thread-safety: pure functions. Requires: 64 servers at most. Cost: one SHA-256 of the conversation's beginning; a
// multiplication a server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "llm/request.h"

namespace pmt::upstream {

enum class Balance { kPrefix, kLeastBusy };
const char* to_string(Balance balance);

/// The same number for each turn of a conversation: tenant, model, and the messages before the first answer. Of a
/// text completion: the prompt's first 1,024 bytes or 256 tokens.
std::uint64_t conversation_of(const llm::Request& request);

/// What a server is to every gateway that has it in its list: its URL, not its place there.
std::uint64_t server_id(std::string_view url);

struct ServerLoad {
  std::uint64_t id = 0;        // server_id
  std::int64_t in_flight = 0;  // requests that it has now, those that wait there too
  bool takes = true;           // may be asked
};

struct ChoiceOptions {
  Balance balance = Balance::kPrefix;
  double load_max = 1.25;           // of a server, in times the mean of those that take requests
  std::int64_t in_flight_free = 4;  // so many it may have whatever the mean: they share one batch
};

/// Who was sent a prompt's beginning, up to the end of one of its blocks.
struct Held {
  std::uint64_t servers = 0;  // bits: their places in the list
  std::uint64_t uses = 0;     // so often, to all of them together
};

/// A beginning that was sent so often for each server that holds it is no claim: where it goes by its conversations,
/// another server reads it once for so many. What everybody's prompts begin with spreads so, at any load.
inline constexpr std::uint64_t kUsesEach = 32;

struct Wanted {
  std::uint64_t conversation = 0;
  std::optional<std::size_t> last = {};  // where it was last, if that isn't its home
  std::size_t blocks = 0;                // of the prompt
  std::span<const Held> held = {};       // of its first blocks, as far as anybody holds them
};

/// The server's place in the list; null where none takes requests.
std::optional<std::size_t> choose_server(const ChoiceOptions& options, const Wanted& wanted,
                                         std::span<const ServerLoad> servers);

/// Where the conversation is sent while nothing is wrong anywhere. Requires: one server at least.
std::size_t home_of(std::uint64_t conversation, std::span<const ServerLoad> servers);

}  // namespace pmt::upstream
