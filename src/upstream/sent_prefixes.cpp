#include "upstream/sent_prefixes.h"

#include <bit>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>

#include "base/hash.h"

namespace pmt::upstream {
namespace {

std::uint64_t text_hash(std::string_view text) {
  return base::DigestHash{}(base::sha256(text));
}

std::uint64_t bit_of(std::size_t server) {
  return std::uint64_t{1} << server;
}

/// Cuts what is added into blocks.
class Chain {
 public:
  explicit Chain(std::uint64_t seed) { begin(seed); }

  void add(std::string_view text) {
    while (!text.empty() && blocks_.size() < kPromptBlocksMax) {
      const std::string_view part = text.substr(0, kLinkBytes - link_.size());
      link_ += part;
      text.remove_prefix(part.size());
      if (link_.size() < kLinkBytes) continue;
      blocks_.push_back(text_hash(link_));
      begin(blocks_.back());
    }
  }
  /// Ended by a byte that texts don't have, not led by a length: two messages that begin alike and end at different
  /// places have their beginning in common.
  void add_part(std::string_view text) {
    constexpr char kEnd = '\0';
    add(text);
    add({&kEnd, 1});
  }
  std::vector<std::uint64_t> take() { return std::move(blocks_); }

 private:
  static constexpr std::size_t kLinkBytes = sizeof(std::uint64_t) + kPromptBlockBytes;

  void begin(std::uint64_t before) { link_.assign(reinterpret_cast<const char*>(&before), sizeof before); }

  std::string link_;  // the hash before, and what there is of the block
  std::vector<std::uint64_t> blocks_;
};

}  // namespace

std::vector<std::uint64_t> chain_of(const llm::Request& request) {
  std::string seed = request.tenant;
  seed += '\0';
  seed += request.model;
  Chain chain(text_hash(seed));
  if (request.endpoint == llm::Endpoint::kCompletions) {
    chain.add(request.prompt);
    chain.add({reinterpret_cast<const char*>(request.prompt_tokens.data()),
               request.prompt_tokens.size() * sizeof(std::int32_t)});
    return chain.take();
  }
  for (const llm::Message& message : request.messages) {
    for (const std::string* part : {&message.role, &message.content, &message.more, &message.tool_call_id})
      chain.add_part(*part);
    for (const llm::ToolCall& call : message.tool_calls) {
      chain.add_part(call.name);
      chain.add_part(call.arguments);
    }
  }
  return chain.take();
}

std::vector<Held> SentPrefixes::held(std::span<const std::uint64_t> chain) const {
  std::vector<Held> out;
  for (const std::uint64_t block : chain) {
    Held found;
    for (const Generation* generation : {&now_, &before_}) {
      const auto at = generation->find(block);
      if (at == generation->end()) continue;
      found.servers |= at->second.servers;
      found.uses += at->second.uses;
    }
    if (found.servers == 0) break;
    out.push_back(found);
  }
  return out;
}

void SentPrefixes::sent(std::span<const std::uint64_t> chain, std::size_t server) {
  // The first block last: if the generation ends in between, a beginning outlives what follows it.
  for (auto block = chain.rbegin(); block != chain.rend(); ++block) {
    Held& held = entry(*block);
    held.servers |= bit_of(server);
    ++held.uses;
  }
}

std::optional<std::size_t> SentPrefixes::place_of(std::uint64_t conversation) const {
  for (const Generation* generation : {&now_, &before_}) {
    const auto at = generation->find(conversation);
    if (at != generation->end()) return static_cast<std::size_t>(std::countr_zero(at->second.servers));
  }
  return {};
}

void SentPrefixes::moved(std::uint64_t conversation, std::size_t server) {
  entry(conversation) = {.servers = bit_of(server), .uses = 1};
}

void SentPrefixes::forget(std::size_t server) {
  for (Generation* generation : {&now_, &before_}) {
    for (auto known = generation->begin(); known != generation->end();) {
      known->second.servers &= ~bit_of(server);
      known = known->second.servers == 0 ? generation->erase(known) : std::next(known);
    }
  }
}

Held& SentPrefixes::entry(std::uint64_t key) {
  if (now_.size() >= entries_max_ && !now_.contains(key)) before_ = std::exchange(now_, {});
  return now_[key];
}

}  // namespace pmt::upstream
