// What one request did, taken once and given to everybody who counts, logs, traces or shows it (note 0016).
// Every figure was counted or measured; what didn't happen is unset.
// Thread-safety: filled by the request's own answering side, one call at a time; shared as const afterwards.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "llm/event.h"
#include "telemetry/trace_context.h"

namespace pmt::api {

/// Of a request that asked a model.
struct CompletionFacts {
  std::string model;     // as asked for
  std::string answered;  // who answered: the resolved name
  std::string operation = "chat";
  bool streamed = false;
  float temperature = 1;
  std::optional<int> max_tokens;
  base::Nanos first_text{0}, last_text{0};  // 0: none came
  std::vector<std::string> finish_reasons;
  llm::Usage usage;
  llm::Report report;  // of an answer that was completed
  bool completed = false;
  bool reads_cache = true;     // by its cache mode: else it was no lookup, whatever became of it
  std::string prompt, answer;  // the last message and the text: only where texts are kept ([log] prompts)

  /// Whether a model ran for it: not a hit, not shared with another request.
  bool computed() const;
  /// Of a computed one: whether another server's model had a part in it.
  bool asked_upstream() const;
  llm::CacheStatus cache_status() const;
};

struct RequestRecord {
  std::string id, method, route, peer;
  std::string key, tenant;  // who asked
  telemetry::TraceContext trace;
  std::string span_id;          // ours
  std::uint64_t span_seed = 0;  // random: the ids of the spans below come from it
  base::Nanos begun{0}, ended{0};
  std::int64_t begun_unix_s = 0;
  int status = 0;
  std::string error;  // of an answer above 399 or a stream that failed
  std::optional<CompletionFacts> completion;
  std::int64_t other_tokens = 0;  // computed for something else than a completion: embeddings

  double seconds() const { return base::ms_between(begun, ended) / 1000; }
};

/// Called once a request, before the last bytes of its answer go out, on whatever thread answers: must return
/// quickly.
using RequestObserver = std::function<void(const std::shared_ptr<const RequestRecord>&)>;

}  // namespace pmt::api
