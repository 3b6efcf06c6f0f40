#include "response_cache/store/event_codec.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include <simdjson.h>

#include "base/hex.h"
#include "response_cache/store/json_fields.h"

namespace pmt::response_cache {
namespace {

using nlohmann::json;

/// In place of the log-probability of a token that has none. Null is one that was infinite.
constexpr bool kNoLogprob = false;

/// Only what says something: most answers have none of it.
void put(json& out, const char* key, const std::string& text) {
  if (!text.empty()) out[key] = text;
}

json delta_json(const llm::Delta& delta) {
  json out{{"type", "delta"}, {"choice", delta.choice}, {"text", delta.text}};
  for (const auto& token : delta.logprobs) {
    json top = json::array();
    for (const auto& [text, logprob] : token.top) top.push_back({bytes_json(text), logprob});
    const json own = token.logprob ? json(*token.logprob) : json(kNoLogprob);
    out["logprobs"].push_back({bytes_json(token.token), own, std::move(top)});
  }
  put(out, "reasoning", delta.reasoning);
  put(out, "more", delta.more);
  put(out, "choice_more", delta.choice_more);
  return out;
}

json end_json(const llm::ChoiceEnd& end) {
  json out{{"type", "end"}, {"choice", end.choice}, {"reason", llm::to_string(end.reason)}};
  if (!end.tool_calls.empty()) out["tool_calls"] = end.tool_calls;
  if (end.no_content) out["no_content"] = true;
  put(out, "said", end.said);
  put(out, "choice_more", end.choice_more);
  return out;
}

json done_json(const llm::Done& done) {
  json out{{"type", "done"},
           {"prompt_tokens", done.usage.prompt_tokens},
           {"completion_tokens", done.usage.completion_tokens},
           {"engine", done.report.engine}};
  if (done.usage.total_tokens) out["total_tokens"] = *done.usage.total_tokens;
  if (done.usage.cached_prompt_tokens) out["cached_prompt_tokens"] = *done.usage.cached_prompt_tokens;
  if (done.usage.cache_written_tokens > 0) out["cache_written_tokens"] = done.usage.cache_written_tokens;
  if (done.usage.reasoning_tokens > 0) out["reasoning_tokens"] = done.usage.reasoning_tokens;
  put(out, "usage_details", done.usage.details);
  put(out, "extra", done.extra);
  if (!done.report.ignored.empty()) out["ignored"] = done.report.ignored;
  if (!done.report.unfollowed.empty()) out["unfollowed"] = done.report.unfollowed;
  if (const auto& knowledge = done.report.knowledge)
    out["knowledge"] = {{"domains", knowledge->domains},
                        {"slots_read", knowledge->slots_read},
                        {"facts", knowledge->facts},
                        {"judged", knowledge->judged}};
  return out;
}

base::Result<std::string> read_bytes(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  const auto hex = base::as_text(base::at(value, "hex"));
  if (!hex) return corrupt("a token must be a string or {\"hex\": ...}");
  auto bytes = base::from_hex(*hex);
  if (!bytes || base::to_hex(*bytes) != *hex) return corrupt("a token's hex holds something else");
  return std::move(*bytes);
}

base::Result<std::pair<std::string, float>> read_logprob(const json& value) {
  if (!value.is_array() || value.size() < 2 || !(value[1].is_number() || value[1].is_null()))
    return corrupt("a log-probability must be [token, number]");
  TRY_ASSIGN(std::string token, read_bytes(value[0]));
  constexpr double kMax = std::numeric_limits<float>::max();
  const auto logprob = base::as_number(value[1]);  // none: it was infinite
  return std::pair(std::move(token),
                   logprob ? static_cast<float>(std::clamp(*logprob, -kMax, kMax)) : -INFINITY);
}

base::Result<llm::TokenLogprob> read_token(const json& value) {
  llm::TokenLogprob out;
  if (value.is_array() && value.size() >= 2 && value[1] == kNoLogprob) {
    TRY_ASSIGN(out.token, read_bytes(value[0]));
  } else {
    TRY_ASSIGN(auto own, read_logprob(value));
    out = {.token = std::move(own.first), .logprob = own.second, .top = {}};
  }
  if (value.size() > 2 && value[2].is_array()) {
    for (const json& one : value[2]) {
      TRY_ASSIGN(auto other, read_logprob(one));
      out.top.push_back(std::move(other));
    }
  }
  return out;
}

base::Result<llm::Delta> read_delta(Fields& fields, int choice) {
  llm::Delta delta{.choice = choice,
                   .text = fields.text("text"),
                   .logprobs = {},
                   .reasoning = fields.text("reasoning"),
                   .calls = {},
                   .more = fields.members("more"),
                   .choice_more = fields.members("choice_more")};
  for (const json& one : fields.array("logprobs")) {
    TRY_ASSIGN(auto token, read_token(one));
    delta.logprobs.push_back(std::move(token));
  }
  return delta;
}

/// Version 1 has each call as an object.
std::string read_call(const json& call) {
  if (call.is_object()) return call.dump(-1, ' ', false, json::error_handler_t::replace);
  const auto text = base::as_text(call);
  return text && text->starts_with('{') && base::check_json(*text) ? *text : "";
}

llm::ChoiceEnd read_end(Fields& fields, int choice) {
  llm::ChoiceEnd end{.choice = choice,
                     .reason = {},
                     .tool_calls = {},
                     .said = fields.text("said"),
                     .no_content = fields.at("no_content") == true,
                     .choice_more = fields.members("choice_more")};
  const std::string reason = fields.text("reason");
  bool known = false;
  for (const auto one : {llm::FinishReason::kStop, llm::FinishReason::kLength, llm::FinishReason::kToolCalls,
                         llm::FinishReason::kContentFilter}) {
    if (reason != llm::to_string(one)) continue;
    end.reason = one;
    known = true;
  }
  if (!known) fields.fail_at("reason", "is none that is known");
  for (const json& call : fields.array("tool_calls")) {
    if (end.tool_calls.emplace_back(read_call(call)).empty())
      fields.fail_at("tool_calls", "must be an array of objects");
  }
  return end;
}

base::Result<llm::Done> read_done(Fields& fields) {
  llm::Done done;
  done.usage = {.prompt_tokens = fields.count("prompt_tokens"),
                .completion_tokens = fields.count("completion_tokens"),
                .details = fields.members("usage_details"),
                .cache_written_tokens = fields.count("cache_written_tokens"),
                .reasoning_tokens = fields.count("reasoning_tokens")};
  if (!fields.at("total_tokens").is_null()) done.usage.total_tokens = fields.count("total_tokens");
  if (!fields.at("cached_prompt_tokens").is_null())
    done.usage.cached_prompt_tokens = fields.count("cached_prompt_tokens");
  done.extra = fields.members("extra");
  done.report.engine = fields.object("engine");
  TRY_ASSIGN(done.report.ignored, read_strings(fields.array("ignored"), "ignored"));
  TRY_ASSIGN(done.report.unfollowed, read_strings(fields.array("unfollowed"), "unfollowed"));
  const json& knowledge = fields.at("knowledge");
  if (knowledge.is_null()) return done;
  Fields inner(knowledge, "knowledge");
  llm::KnowledgeReport report;
  TRY_ASSIGN(report.domains, read_strings(inner.array("domains"), "domains"));
  TRY_ASSIGN(report.facts, read_strings(inner.array("facts"), "facts"));
  report.slots_read = inner.count("slots_read");
  report.judged = inner.count("judged");
  TRY(inner.status());
  done.report.knowledge = std::move(report);
  return done;
}

}  // namespace

json bytes_json(const std::string& bytes) {
  if (simdjson::validate_utf8(bytes)) return bytes;
  return {{"hex", base::to_hex(bytes)}};
}

json event_json(const llm::Event& event) {
  if (const auto* started = std::get_if<llm::Started>(&event)) {
    json out{{"type", "started"}, {"model", started->model}, {"created", started->created_unix_s}};
    put(out, "more", started->more);
    return out;
  }
  if (const auto* delta = std::get_if<llm::Delta>(&event)) return delta_json(*delta);
  if (const auto* end = std::get_if<llm::ChoiceEnd>(&event)) return end_json(*end);
  return done_json(std::get<llm::Done>(event));  // a Failed is never stored
}

base::Result<llm::Event> read_event(const json& value) {
  Fields fields(value, "event");
  const std::string type = fields.text("type");
  llm::Event event;
  const auto choice = static_cast<int>(std::min<std::int64_t>(fields.count("choice"), llm::kChoicesMax));
  if (choice == llm::kChoicesMax) fields.fail_at("choice", "is too large");
  if (type == "started") {
    event = llm::Started{.model = fields.text("model"),
                         .created_unix_s = fields.count("created"),
                         .cache = {},
                         .more = fields.members("more")};
  } else if (type == "delta") {
    TRY_ASSIGN(event, read_delta(fields, choice));
  } else if (type == "end") {
    event = read_end(fields, choice);
  } else if (type == "done") {
    TRY_ASSIGN(event, read_done(fields));
  } else {
    return corrupt("an event's type must be started, delta, end or done");
  }
  TRY(fields.status());
  return event;
}

}  // namespace pmt::response_cache
