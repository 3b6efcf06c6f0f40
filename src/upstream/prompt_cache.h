// Helps a provider's prompt cache: where the configuration says so, a request gets what its caller left out
// (note 0032).
//   prompt_cache_key      a hash of the tenant and of the conversation's beginning (its system prompt and the first
//                         user's turn), so that a provider with several servers sends a conversation to one of them
//   inject_cache_control  Anthropic's breakpoints, for providers that cache nothing without: on the last tool, on
//                         the system prompt, and on the last two of the user's and tools' messages; 4 in all, which
//                         is the most there may be
// A caller that set a key keeps it; one that set any breakpoint gets no other. A breakpoint stands on a text's
// last part, of a tool's message on the message itself: what is in a tool's result can't have one.
// It stands behind the response cache, so no key of that depends on it. The rest of the request goes on as it was
// written (request_json.h).
// Thread-safety: pure functions; the completer from any thread. Cost: nothing unless one is on; then a pass over
// the body and a copy.
#pragma once

#include <memory>
#include <string>

#include "llm/completer.h"
#include "upstream/remote_options.h"

namespace pmt::upstream {

struct PromptCacheOptions {
  bool key = false;          // prompt_cache_key
  bool breakpoints = false;  // inject_cache_control
  bool any() const { return key || breakpoints; }
};

/// The key of the conversation that this chat request belongs to: 40 characters.
std::string prompt_cache_key(const llm::Request& request);

/// A chat request with that help; any other unchanged. `remote`: who will be asked.
llm::Request with_prompt_cache_help(llm::Request request, PromptCacheOptions options,
                                    const RemoteOptions& remote);

class PromptCacheHelper final : public llm::Completer {
 public:
  /// `inner` and `remote`, which are the same model, outlive this.
  PromptCacheHelper(llm::Completer& inner, const RemoteOptions& remote, PromptCacheOptions options)
      : inner_(inner), remote_(remote), options_(options) {}
  void start(llm::Request request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
    inner_.start(with_prompt_cache_help(std::move(request), options_, remote_), std::move(sink),
                 std::move(cancel));
  }

 private:
  llm::Completer& inner_;
  const RemoteOptions& remote_;
  const PromptCacheOptions options_;
};

}  // namespace pmt::upstream
