// Helps a provider's prompt cache: where the configuration says so, a request gets what its caller left out
// (note 0032).
//   prompt_cache_key      a hash of the tenant and of the conversation's beginning (its system prompt and the first
//                         user's turn), so that a provider with several servers sends a conversation to one of them.
//                         If another conversation had half of its prompt, it gets that one's: providers route by
//                         the key, and what they read under another one is elsewhere. But only so many requests a
//                         minute with one key go to one server
//   inject_cache_control  Anthropic's breakpoints, for providers that cache nothing without: on the last tool, on
//                         the system prompt, and on the last two of the user's and tools' messages; 4 in all, which
//                         is the most there may be
// A caller that set a key keeps it; one that set any breakpoint gets no other. A breakpoint stands on a text's
// last part, of a tool's message on the message itself: what is in a tool's result can't have one.
// It stands behind the response cache, so no key of that depends on it. The rest of the request goes on as it was
// written (request_json.h).
// Thread-safety: pure functions; the classes from any thread. Cost: nothing unless one is on; then a pass over
// the body and a copy. For the key one SHA-256 of the prompt (sent_prefixes.h), and some 100 B for each KiB of it
// that is remembered, 3 MB at most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "llm/completer.h"
#include "upstream/remote_options.h"

namespace pmt::upstream {

struct PromptCacheOptions {
  bool key = false;          // prompt_cache_key
  bool breakpoints = false;  // inject_cache_control
  /// So many requests with one key in so many seconds go to one of the provider's servers, the others elsewhere. As
  /// OpenAI says of its own.
  int key_requests = 15;
  double key_seconds = 60;
  bool any() const { return key || breakpoints; }
};

/// The key of the conversation that this chat request belongs to: 40 characters.
std::string prompt_cache_key(const llm::Request& request);

/// Which key each conversation has. It keeps it. A new one whose prompt begins with at least half of another's gets that
/// one's key while less than half of the requests that it may have were sent with it lately: conversations go on.
/// Two generations: what is sent again stands in the younger one, too.
class PromptCacheKeys {
 public:
  static constexpr std::size_t kEntriesMax = 16'384;  // of a generation

  /// `clock` outlives it.
  PromptCacheKeys(const base::Clock& clock, PromptCacheOptions options, std::size_t entries_max = kEntriesMax)
      : clock_(clock), options_(options), entries_max_(entries_max) {}

  std::string key_for(const llm::Request& request);

 private:
  struct Shared {
    std::string key;
    std::deque<base::Nanos> lately;  // when it was sent, as far as that is of interest
  };
  using SharedPtr = std::shared_ptr<Shared>;
  using Generation = std::unordered_map<std::uint64_t, SharedPtr>;
  SharedPtr find(std::uint64_t entry) const;
  SharedPtr choose(std::span<const std::uint64_t> chain) const;
  bool has_room(Shared& shared) const;
  void remember(std::uint64_t entry, const SharedPtr& shared);

  const base::Clock& clock_;
  const PromptCacheOptions options_;
  const std::size_t entries_max_;
  std::mutex mutex_;
  Generation now_, before_;  // by a block's hash, or a conversation's
};

/// A chat request with that help; any other unchanged. `remote`: who will be asked; `key`: what to call it there.
llm::Request with_prompt_cache_help(llm::Request request, PromptCacheOptions options,
                                    const RemoteOptions& remote, const std::string& key);

class PromptCacheHelper final : public llm::Completer {
 public:
  /// `inner` and `remote`, which are the same model, outlive this.
  PromptCacheHelper(llm::Completer& inner, const RemoteOptions& remote, PromptCacheOptions options,
                    const base::Clock& clock)
      : inner_(inner), remote_(remote), options_(options), keys_(clock, options) {}
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
    const std::string key =
        options_.key && request.endpoint == llm::Endpoint::kChat ? keys_.key_for(request) : "";
    inner_.start(with_prompt_cache_help(std::move(request), options_, remote_, key), std::move(sink),
                 std::move(cancel));
  }

 private:
  llm::Completer& inner_;
  const RemoteOptions& remote_;
  const PromptCacheOptions options_;
  PromptCacheKeys keys_;
};

}  // namespace pmt::upstream
