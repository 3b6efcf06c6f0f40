// One request to a language model, after parsing and before anybody acts on it: what api/ makes out of
// OpenAI's JSON and what every Completer takes. Everything that can change the answer is in here, so the
// response cache can make its key from it (response_cache/store/canonical_key.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json_text.h"
#include "base/result.h"
#include "base/usage_counter.h"
#include "llm/engine_options.h"
#include "llm/tools.h"

namespace pmt::llm {

enum class Endpoint { kChat, kCompletions };

/// By which API a server is asked: OpenAI's chat (and text completions), Anthropic's Messages, OpenAI's Responses.
enum class Api : std::uint8_t { kChat, kMessages, kResponses };

struct Message {
  std::string role;  // system, developer, user, assistant, tool
  std::string content;
  std::string name;
  std::vector<ToolCall> tool_calls = {};
  std::string tool_call_id;
  std::string reasoning = {};  // what an assistant thought before it
  /// Of what the caller wrote in it, what the other members don't hold, as JSON text: parts, members that only an
  /// upstream may know. "": nothing. It tells two messages apart; an upstream is sent Request::sent.
  std::string more = {};
};

/// Against repeating a sequence of tokens (koboldcpp's, as in llama.cpp).
struct DryOptions {
  float multiplier = 0;  // 0: off
  float base = 1.75F;
  int allowed_length = 2;
  int last_n = -1;  // tokens looked at; -1: all
  std::vector<std::string> breakers = {"\n", ":", "\"", "*"};
  friend bool operator==(const DryOptions&, const DryOptions&) = default;
};

struct Sampling {
  float temperature = 1.0F;
  float top_p = 1.0F;
  int top_k = 0;  // 0: all
  float min_p = 0.0F;
  float frequency_penalty = 0.0F;
  float presence_penalty = 0.0F;
  std::optional<std::uint32_t> seed;
  std::map<std::int32_t, float> logit_bias;  // token id -> bias
  // What other servers' clients send, for local models; each is off as it stands here.
  float typical_p = 1.0F;
  float top_n_sigma = -1.0F;
  float xtc_probability = 0.0F;
  float xtc_threshold = 0.1F;
  float repetition_penalty = 1.0F;  // of tokens in the prompt and the answer
  int repetition_last_n = -1;       // of so many last ones; -1: all
  DryOptions dry = {};
  friend bool operator==(const Sampling&, const Sampling&) = default;
};

/// A request's body as its caller wrote it, for who passes it on: an upstream is sent this text, in which only
/// what must change is changed (upstream/request_json.h). Beside it what was read of the members that engines may
/// set otherwise (limits, sampling, n): where the request differs, the request counts. Made by
/// api/completions/sent_body.h; the members' views are into `text`, so it stays where it is.
struct SentBody {
  struct Member : base::JsonMember {
    bool held = false;  // the request's own members hold all of it
  };
  std::string text;
  std::vector<Member> members;
  Sampling sampling;
  std::optional<int> max_tokens, logprobs;
  int n = 1;
  std::optional<base::Error> not_local;  // what a local model can't do of it
  /// Its caller asked by another API than chat, and a server that may be asked speaks that one: the body in that
  /// API's words, which `text` may not say whole.
  struct Own {
    Api api = Api::kChat;
    std::string text;
  };
  std::optional<Own> own;

  SentBody() = default;
  SentBody(const SentBody&) = delete;
  SentBody& operator=(const SentBody&) = delete;
};

/// How much a model thinks before it answers; unset: as its chat template has it.
struct ThinkingOptions {
  std::optional<bool> on = {};
  std::string effort = {};                // in a word, for the template; "": none was given
  std::optional<int> budget_tokens = {};  // of thoughts: then the answer begins; 0: none
  std::string template_variables =
      {};  // a JSON object's text: what the template is told besides; "": nothing
  bool off() const { return on == false || budget_tokens == 0; }
  friend bool operator==(const ThinkingOptions&, const ThinkingOptions&) = default;
};

enum class CacheMode { kOn, kOff, kReadOnly, kWriteOnly, kRefresh };

/// permutation.cache of the request, with Cache-Control folded in by api/.
struct CacheOptions {
  CacheMode mode = CacheMode::kOn;
  std::optional<double> ttl_s;
  std::optional<double> max_age_s;
  std::optional<double> stale_while_revalidate_s;
  std::optional<double> semantic_error_max;  // set: ask the semantic tier
  bool semantic_shadow = false;              // only measure and learn
  std::string name_space;
  std::vector<std::string> tags;
  std::optional<bool> reusable;  // unset: reusable at temperature 0 or with a seed
  bool only_if_cached = false;
};

enum class KvMode { kAuto, kExact, kQueryAware, kQueryAgnostic };

struct KvOptions {
  std::optional<double> ratio = {};  // 1..64; bytes at f16 over bytes held; unset: the server's own
  KvMode mode = KvMode::kAuto;
  /// Where the model has no compression of ours: whatever comes nearest to the ratio, instead of an error.
  bool best_effort = false;
};

enum class Speculation { kAuto, kOff, kPromptLookup };

/// What the knowledge cache recalled for a request: set behind the response cache, which keys on the packs'
/// versions instead.
struct Recall {
  std::string answer;     // written word for word as the answer's beginning; "" for none
  bool ends = true;       // the answer ends there
  std::string statement;  // shown to the model with the last message; "" for none
  /// Where the model ends without having written `needle`, the answer goes on with `closing`.
  std::string needle, closing;
};

struct Budget {
  std::optional<double> usd;
  std::optional<std::int64_t> tokens;
  std::optional<double> seconds;
};

struct Request {
  std::string id;           // x-request-id
  std::string traceparent;  // W3C's header for whoever is asked on its behalf; "" when there is none
  std::string tenant;       // "" until keys exist
  std::string key = {};     // the name of the key that asks, to be charged and counted; no part of the answer
  Endpoint endpoint = Endpoint::kChat;
  std::string model;                        // as the caller named it
  std::vector<Message> messages;            // kChat
  std::string prompt;                       // kCompletions: text, or
  std::vector<std::int32_t> prompt_tokens;  // token ids, if not empty
  std::string suffix;                       // kCompletions: what stands after the answer; "": nothing

  Sampling sampling;
  std::optional<int> max_tokens;                  // unset: up to the context's end
  int min_tokens = 0;                             // local models: no end before so many
  bool ignore_eos = false;                        // local models: no end but the limit's
  std::vector<std::int32_t> stop_token_ids = {};  // local models: tokens that end an answer
  std::vector<std::string> stop;
  int n = 1;
  std::optional<int> logprobs;  // set: report logprobs, with so many alternatives (0..20)
  bool echo = false;            // kCompletions: repeat the prompt before the answer
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  bool parallel_tool_calls = true;
  ResponseFormat response_format;
  bool stream = false;  // the caller takes pieces as they come: a hint, no part of the answer
  std::string other_options =
      {};  // JSON text: members that OpenAI doesn't have and a local answer depends on
  /// Null: composed here, or nobody will pass it on. Who writes other messages, another prompt, other tools or
  /// another form resets it.
  std::shared_ptr<const SentBody> sent = {};
  std::vector<std::string> ignored = {};  // members that a local model can't use, to be named in the answer

  ThinkingOptions thinking = {};
  CacheOptions cache;
  KvOptions kv;
  Speculation speculation = Speculation::kAuto;
  std::vector<std::string>
      knowledge;  // domains; once resolved, references (knowledge_cache/pack_references.h)
  std::optional<Recall> recall;
  Budget budget;
  bool want_trace = false;
  EngineOptions options = {};  // what only one engine reads

  base::Surface surface = base::Surface::kCompletions;  // on whose behalf: for the audit
  bool engine_call = false;  // an engine's own call of a model, no client's request: for the cache's counters
};

}  // namespace pmt::llm
