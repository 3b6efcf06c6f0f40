// How an answer is put into the cache and given again.
// Thread-safety: Recorder by one thread at a time; the functions are pure.
#pragma once

#include <map>
#include <string>

#include "llm/completer.h"
#include "response_cache/response_cache.h"

namespace pmt::response_cache {

/// Makes the stored form while the events pass: the pieces of a choice's text joined into one (unless they
/// carry log-probabilities), and nothing that was true of the first time only.
class Recorder {
 public:
  void add(const llm::Event& event);
  /// The answer, once Done was added. Leaves the recorder empty.
  RecordedAnswer take();

 private:
  void add_delta(const llm::Delta& delta);

  RecordedAnswer answer_;
  std::map<int, std::size_t> open_text_;  // choice -> index of the Delta that takes its further text
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
