// How an answer is put into the cache and given again.
// Thread-safety: Recorder by one thread at a time; the functions are pure.
#pragma once

#include <map>
#include <string>

#include "llm/completer.h"
#include "llm/json_sum.h"
#include "response_cache/store/entry.h"

namespace pmt::response_cache {

/// Makes the stored form while the events pass: pieces of a choice that bring the same (text, reasoning, an
/// upstream's own members) joined into one, unless they carry log-probabilities; no pieces of calls, which the
/// choice's end has whole; and nothing that was true of the first time only.
class Recorder {
 public:
  void add(const llm::Event& event);
  /// The answer, once Done was added. Leaves the recorder empty.
  RecordedAnswer take();

 private:
  /// The Delta that takes what a choice brings further.
  struct Open {
    std::size_t event;  // its index
    unsigned brings;    // of which kinds it is
    llm::JsonSum more{llm::JsonSum::Rule::kJoined};
    llm::JsonSum choice_more{llm::JsonSum::Rule::kChoice};
  };
  void add_delta(const llm::Delta& delta);
  void close(const Open& open);

  RecordedAnswer answer_;
  std::map<int, Open> open_;  // by choice
};

/// The report of an answer that was computed for somebody else: what the engine and the knowledge cache say
/// about the answer stays, what the first computation cost (kv, timing, speculation, trace) goes.
llm::Report reused_report(const llm::Report& first, llm::CacheReport cache);

llm::CacheReport cache_report(llm::CacheStatus status, std::string key, std::string why = {});

/// Gives the whole answer to `sink`, with `cache` in Started and Done.
void replay(const RecordedAnswer& answer, const llm::CacheReport& cache, llm::Sink& sink);

inline std::int64_t total_tokens(const llm::Usage& usage) {
  return usage.prompt_tokens + usage.completion_tokens;
}

}  // namespace pmt::response_cache
