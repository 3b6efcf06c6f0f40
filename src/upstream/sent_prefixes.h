// What each server behind a name was sent, so that a request goes where the most of its prompt was read (note 0033).
//
//   the prompt's text   [1 KiB][1 KiB][1 KiB] rest     its messages in order, roles and calls of tools included
//   its chain              h0     h1     h2            each over the one before and the block: equal hashes are
//                                                      equal beginnings of one tenant and model
//
// Beside the chains it knows where each conversation is that isn't at home. All of it stands in two generations: what
// is sent again stands in the younger one, too, and the older one goes as a whole. A server that wasn't sent a block
// for so long is no longer said to hold it: it will have dropped it as well.
// Not thread-safe. Requires: 64 servers at most. Cost: of a chain one SHA-256 a block, outside of any lock (27 us for
// 40 KiB, 81 us without the CPU's SHA instructions); of the rest three lookups a block. 56 bytes an entry or so, 7 MB
// in all. What stands behind a prompt's first MiB tells nobody apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "llm/request.h"
#include "upstream/server_choice.h"

namespace pmt::upstream {

inline constexpr std::size_t kPromptBlockBytes = 1024, kPromptBlocksMax = 1024;
/// Entries of each generation.
inline constexpr std::size_t kSentMax = 65'536;

/// A hash for each whole block of the prompt; empty for one shorter than a block.
std::vector<std::uint64_t> chain_of(const llm::Request& request);

class SentPrefixes {
 public:
  explicit SentPrefixes(std::size_t entries_max = kSentMax) : entries_max_(entries_max) {}

  /// Of the chain's first blocks, as far as some server was sent them.
  std::vector<Held> held(std::span<const std::uint64_t> chain) const;
  void sent(std::span<const std::uint64_t> chain, std::size_t server);

  std::optional<std::size_t> place_of(std::uint64_t conversation) const;
  void moved(std::uint64_t conversation, std::size_t server);

  /// Holds nothing more: it may have been started anew. Cost: a pass over all entries.
  void forget(std::size_t server);

  /// Entries of both generations.
  std::size_t size() const { return now_.size() + before_.size(); }

 private:
  using Generation = std::unordered_map<std::uint64_t, Held>;
  Held& entry(std::uint64_t key);

  const std::size_t entries_max_;
  Generation now_, before_;  // by a block's hash, or a conversation's
};

}  // namespace pmt::upstream
