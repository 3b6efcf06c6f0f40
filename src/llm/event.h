// What a model says back, as a stream of events. One order, always:
//   Started, (Delta | ChoiceEnd)*, then exactly one terminal event: Done or Failed.
// Failed may also come first. Every choice of a Done stream has had its ChoiceEnd.
// The same events serve SSE and plain JSON, are what the response cache stores, and carry only figures that
// were counted or measured.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/result.h"
#include "llm/usage.h"

namespace pmt::llm {

/// Of one answer: `n` choices for each of a list of prompts.
inline constexpr int kChoicesMax = 4096;

struct TokenLogprob {
  std::string token;                  // its bytes, perhaps half a UTF-8 character
  std::optional<float> logprob = {};  // none: nothing stands before it, as before a prompt's first token
  std::vector<std::pair<std::string, float>> top;  // best first
};

enum class FinishReason { kStop, kLength, kToolCalls, kContentFilter };
const char* to_string(FinishReason reason);

enum class CacheStatus { kHit, kSemanticHit, kCoalesced, kStale, kMiss, kBypass };
const char* to_string(CacheStatus status);

/// permutation.cache of the response.
struct CacheReport {
  CacheStatus status = CacheStatus::kBypass;
  std::string key;  // hex, "" when there is none
  double age_s = 0;
  std::optional<double> similarity;
  std::int64_t tokens_saved = 0;
  double usd_saved = 0;
  double seconds_saved = 0;  // what computing it had taken; 0 of who waited for a computation
  std::string why;
};

/// permutation.kv: bytes are what the pool held for this request when it ended.
struct KvReport {
  std::string mode = "exact";
  double ratio_target = 1;
  double ratio_achieved = 1;
  std::int64_t bytes = 0;
  std::int64_t bytes_f16 = 0;  // of as many pages at f16, whole ones as those are
  std::int64_t tokens_kept = 0;
  std::int64_t tokens_total = 0;
  std::int64_t prefix_tokens_reused = 0;
  /// Where those came from: "memory", "disk" (some of them), "": none were reused.
  std::string prefix_source = {};
  /// The name of what the prompt left on the disk, by which it can be wiped. "": nothing.
  std::string prefix_key = {};
  /// Where in the prompt the question is: "at_end", "earlier", or "none" that can be told apart.
  std::string question = "none";
  /// By what the tokens to keep were chosen: "calibrated", "uncalibrated" before the model is, "" where none were.
  std::string scores = {};
  std::vector<std::string> safe_for = {};  // measured tasks that this mode and ratio keep
  /// Of a model that libllama runs: why compression is off, and in what its keys and values were ("f16", "q8_0",
  /// "q4_0"). "": they are our pages.
  std::string compression_off = {}, cells = {};
};

struct SpeculationReport {
  std::int64_t drafted = 0;
  std::int64_t accepted = 0;
  std::int64_t drafted_by_model = 0, accepted_by_model = 0;  // of those: of a second model
};

struct KnowledgeReport {
  std::vector<std::string> domains;
  std::int64_t slots_read = 0;
  std::vector<std::string> facts;
  std::int64_t judged = 0;  // facts of which the model was asked whether they answer
};

struct Timing {
  double queue_ms = 0;
  double prefill_ms = 0;
  double decode_ms = 0;
};

/// A model's part in an answer that several had a part in: for traces, never shown or stored.
struct ModelCall {
  std::string part;  // student, teacher, ...
  std::string model;
  bool local = true;
  base::Nanos begun{0}, ended{0};  // of the monotonic clock
  int computations = 0;            // 0: its answer came from the response cache
  std::int64_t prompt_tokens = 0;
  std::int64_t completion_tokens = 0;
  std::string error = {};  // of one that failed
};

/// The extension object of a completion. Parts that no component filled stay unset and are not shown.
struct Report {
  std::optional<CacheReport> cache;
  std::optional<KvReport> kv;
  std::optional<SpeculationReport> speculation;
  std::optional<KnowledgeReport> knowledge;
  std::optional<Timing> timing;
  nlohmann::json engine = {};                // null, or {"metadata": ..., "trace": ...}
  std::vector<std::string> ignored = {};     // members of the request that the model couldn't use
  std::vector<std::string> unfollowed = {};  // keywords of its schemas that the answer's form doesn't ensure
  nlohmann::json upstream =
      {};  // null, or who answered elsewhere and what it took: upstream/remote_completer.h
  std::vector<ModelCall> calls = {};
  /// Digests of the cache entries that hold what an engine made this answer of; kept with its own entry, never shown.
  std::vector<std::string> made_of = {};
};

/// First: what the answer's headers need, known before its first token.
struct Started {
  std::string model;  // resolved name
  std::int64_t created_unix_s = 0;
  std::optional<CacheReport> cache;  // set by whoever consulted the response cache
  MembersText more = {};             // of an upstream's answer, what each chunk says: system_fingerprint, ...
};

/// A piece of a tool call while it is written. ChoiceEnd::tool_calls has all of it again, so who keeps an
/// answer, or has no use for pieces, may drop them.
struct CallPiece {
  int index = 0;         // of the call in its choice
  std::string id, name;  // in the call's first piece only
  std::string arguments;
  MembersText sent = {};  // an upstream's: all that it says of the call, instead of the three above
};

struct Delta {
  int choice = 0;
  std::string text;  // whole UTF-8 characters
  std::vector<TokenLogprob> logprobs;
  std::string reasoning = {};  // what it thinks before the answer, no part of the text
  std::vector<CallPiece> calls = {};
  MembersText more = {};         // further members of an upstream's message: reasoning_content, refusal, ...
  MembersText choice_more = {};  // further members of its choice; its logprobs among them, as it wrote them
};

struct ChoiceEnd {
  int choice = 0;
  FinishReason reason = FinishReason::kStop;
  std::vector<std::string> tool_calls;  // each a call in OpenAI's shape: an object's JSON text
  std::string said = {};         // "function_call": OpenAI's old word for kToolCalls, where it was said
  bool no_content = false;       // there was no text at all, not even an empty one
  MembersText choice_more = {};  // as Delta's
};

struct Done {
  Usage usage;
  Report report;
  MembersText extra = {};  // further members of an upstream's answer: Sonar's citations, search_results
  bool transient = false;  // cut short or degraded: true now, but not to be given again
};

struct Failed {
  base::Error error;
};

using Event = std::variant<Started, Delta, ChoiceEnd, Done, Failed>;

inline bool is_terminal(const Event& event) {
  return std::holds_alternative<Done>(event) || std::holds_alternative<Failed>(event);
}

}  // namespace pmt::llm
