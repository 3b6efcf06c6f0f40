#include "upstream/server_choice.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "base/hash.h"

namespace pmt::upstream {
namespace {

constexpr std::size_t kPromptBytes = 1024, kPromptTokens = 256;

/// With its length in front: two parts never read like two others.
void add(std::string& out, std::string_view part) {
  const std::uint64_t size = part.size();
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(part);
}

std::uint64_t hash_of(std::string_view text) {
  const base::Digest digest = base::sha256(text);
  std::uint64_t out = 0;
  std::memcpy(&out, digest.bytes.data(), sizeof out);
  return out;
}

/// A server's rank for a conversation, as good as drawn at random: the finalizer of splitmix64.
std::uint64_t rank_of(std::uint64_t conversation, std::uint64_t server) {
  constexpr std::uint64_t kFirst = 0xbf58476d1ce4e5b9, kSecond = 0x94d049bb133111eb;
  std::uint64_t x = conversation ^ server;
  x = (x ^ (x >> 30)) * kFirst;
  x = (x ^ (x >> 27)) * kSecond;
  return x ^ (x >> 31);
}

bool has(std::uint64_t servers, std::size_t at) {
  return (servers >> at & 1U) != 0;
}

/// As bits, like all sets of servers here.
template <class May>
std::uint64_t those_that(std::span<const ServerLoad> servers, May&& may) {
  std::uint64_t out = 0;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (may(servers[i])) out |= std::uint64_t{1} << i;
  }
  return out;
}

/// Of `among` the one of the highest rank.
std::optional<std::size_t> highest(std::uint64_t conversation, std::span<const ServerLoad> servers,
                                   std::uint64_t among) {
  std::optional<std::size_t> best;
  std::uint64_t best_rank = 0;
  for (std::size_t i = 0; i < servers.size(); ++i) {
    if (!has(among, i)) continue;
    const std::uint64_t rank = rank_of(conversation, servers[i].id);
    if (best && rank <= best_rank) continue;
    best = i;
    best_rank = rank;
  }
  return best;
}

/// Of `open` those who hold the longest beginning. None where that is less than half of the prompt, or common.
std::uint64_t readers_of(const Wanted& wanted, std::uint64_t open) {
  for (std::size_t blocks = wanted.held.size(); blocks > 0 && 2 * blocks >= wanted.blocks; --blocks) {
    const Held& held = wanted.held[blocks - 1];
    const std::uint64_t readers = held.servers & open;
    if (readers == 0) continue;
    const auto holders = static_cast<std::uint64_t>(std::popcount(held.servers));
    return held.uses < kUsesEach * holders ? readers : 0;
  }
  return 0;
}

/// How many requests a server may have so that one more may come. Some server always has fewer: the bound is above
/// the mean.
std::int64_t bound_of(const ChoiceOptions& options, std::span<const ServerLoad> servers) {
  std::int64_t total = 1, count = 0;  // with the one that is to be placed
  for (const ServerLoad& server : servers) {
    if (!server.takes) continue;
    total += server.in_flight;
    ++count;
  }
  if (count == 0) return 0;
  const double most = std::ceil(options.load_max * static_cast<double>(total) / static_cast<double>(count));
  return std::max(options.in_flight_free, static_cast<std::int64_t>(most));
}

}  // namespace

const char* to_string(Balance balance) {
  return balance == Balance::kPrefix ? "prefix" : "least_busy";
}

std::uint64_t conversation_of(const llm::Request& request) {
  std::string text;
  add(text, request.tenant);
  add(text, request.model);
  if (request.endpoint == llm::Endpoint::kCompletions) {
    add(text, std::string_view(request.prompt).substr(0, kPromptBytes));
    const std::size_t tokens = std::min(request.prompt_tokens.size(), kPromptTokens);
    add(text, {reinterpret_cast<const char*>(request.prompt_tokens.data()), tokens * sizeof(std::int32_t)});
    return hash_of(text);
  }
  bool asked = false;
  for (const llm::Message& message : request.messages) {
    if (asked && (message.role == "assistant" || message.role == "tool")) break;
    asked = asked || message.role == "user";
    add(text, message.role);
    add(text, message.content);
    add(text, message.more);
  }
  return hash_of(text);
}

std::uint64_t server_id(std::string_view url) {
  return hash_of(url);
}

std::size_t home_of(std::uint64_t conversation, std::span<const ServerLoad> servers) {
  return highest(conversation, servers, ~std::uint64_t{0}).value_or(0);
}

std::optional<std::size_t> choose_server(const ChoiceOptions& options, const Wanted& wanted,
                                         std::span<const ServerLoad> servers) {
  if (options.balance == Balance::kLeastBusy) {
    std::int64_t fewest = std::numeric_limits<std::int64_t>::max();
    for (const ServerLoad& server : servers) {
      if (server.takes) fewest = std::min(fewest, server.in_flight);
    }
    const auto least = [fewest](const ServerLoad& server) {
      return server.takes && server.in_flight == fewest;
    };
    return highest(wanted.conversation, servers, those_that(servers, least));
  }
  const std::int64_t bound = bound_of(options, servers);
  const std::uint64_t open = those_that(
      servers, [bound](const ServerLoad& server) { return server.takes && server.in_flight < bound; });
  const std::uint64_t readers = readers_of(wanted, open), among = readers != 0 ? readers : open;
  if (wanted.last && *wanted.last < servers.size() && has(among, *wanted.last)) return wanted.last;
  return highest(wanted.conversation, servers, among);
}

}  // namespace pmt::upstream
