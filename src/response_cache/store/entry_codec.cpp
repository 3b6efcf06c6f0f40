#include "response_cache/store/entry_codec.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "base/hex.h"

namespace pmt::response_cache {
namespace {

using nlohmann::json;

base::Error corrupt(std::string message) {
  return {base::Code::kCorrupt, std::move(message)};
}

json bytes_json(const std::string& bytes) {
  if (simdjson::validate_utf8(bytes)) return bytes;
  return {{"hex", base::to_hex(bytes)}};
}

constexpr std::int64_t kCountMax = std::int64_t{1} << 53;  // sums of some of them stay whole numbers
/// In place of the log-probability of a token that has none. Null is one that was infinite.
constexpr bool kNoLogprob = false;
constexpr std::int64_t kChoicesMax = llm::kChoicesMax;  // an answer is drawn up with as many
/// Of an answer's events. 1, without a member that says so: no members of upstreams, calls as objects.
constexpr std::int64_t kVersion = 2;

/// Reads the fields of one object: each getter notes the first mistake, and gives a default then.
class Fields {
 public:
  Fields(const json& object, const char* what) : object_(object), what_(what) {
    if (!object.is_object()) fail("must be an object");
  }
  base::Status status() const {
    if (error_.empty()) return {};
    return corrupt(error_);
  }
  const json& at(const char* key) { return base::at(object_, key); }
  std::string text(const char* key) {
    const json& value = at(key);
    if (value.is_null()) return {};
    if (value.is_string()) return value.get<std::string>();
    return fail_at(key, "must be a string"), std::string();
  }
  std::int64_t count(const char* key) {
    const json& value = at(key);
    if (value.is_null()) return 0;
    const auto number = base::as_integer(value);
    if (number && *number >= 0 && *number <= kCountMax) return *number;
    return fail_at(key, "must be a whole number from 0 to 2^53"), 0;
  }
  double number(const char* key) {
    const json& value = at(key);
    if (value.is_null()) return 0;
    if (const auto number = base::as_number(value); number && *number >= 0) return *number;
    return fail_at(key, "must be a number, 0 or more"), 0;
  }
  /// Null if absent.
  const json& object(const char* key) {
    const json& value = at(key);
    if (!value.is_null() && !value.is_object()) fail_at(key, "must be an object");
    return value;
  }
  /// Members of a JSON object as text. It is put into answers as it is, so it must be what it says. Version 1
  /// has the object itself.
  std::string members(const char* key) {
    const json& value = at(key);
    if (value.is_null()) return {};
    if (value.is_object()) {
      const std::string object = value.dump(-1, ' ', false, json::error_handler_t::replace);
      return object.substr(1, object.size() - 2);
    }
    const auto text = base::as_text(value);
    const std::string object = "{" + text.value_or("}") + "}";
    if (text && text->starts_with('"') && base::check_json(object, {.bytes_max = object.size()}))
      return *text;
    return fail_at(key, "must be members of a JSON object"), std::string();
  }
  const json& array(const char* key) {
    static const json kEmpty = json::array();
    const json& value = at(key);
    if (value.is_null()) return kEmpty;
    if (value.is_array()) return value;
    return fail_at(key, "must be an array"), kEmpty;
  }
  void fail_at(const char* key, const char* wanted) { fail(std::string(key) + " " + wanted); }

 private:
  void fail(const std::string& message) {
    if (error_.empty()) error_ = std::string(what_) + ": " + message;
  }
  const json& object_;
  const char* what_;
  std::string error_;
};

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
  put(out, "usage_details", done.usage.details);
  put(out, "extra", done.extra);
  if (const auto& knowledge = done.report.knowledge)
    out["knowledge"] = {
        {"domains", knowledge->domains}, {"slots_read", knowledge->slots_read}, {"facts", knowledge->facts}};
  return out;
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

base::Result<std::vector<std::string>> read_strings(const json& array, const char* what) {
  std::vector<std::string> out;
  for (const json& one : array) {
    if (!one.is_string()) return corrupt(std::string(what) + " must be strings");
    out.push_back(one.get<std::string>());
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
                .details = fields.members("usage_details")};
  if (!fields.at("total_tokens").is_null()) done.usage.total_tokens = fields.count("total_tokens");
  done.extra = fields.members("extra");
  done.report.engine = fields.object("engine");
  const json& knowledge = fields.at("knowledge");
  if (knowledge.is_null()) return done;
  Fields inner(knowledge, "knowledge");
  llm::KnowledgeReport report;
  TRY_ASSIGN(report.domains, read_strings(inner.array("domains"), "domains"));
  TRY_ASSIGN(report.facts, read_strings(inner.array("facts"), "facts"));
  report.slots_read = inner.count("slots_read");
  TRY(inner.status());
  done.report.knowledge = std::move(report);
  return done;
}

base::Result<llm::Event> read_event(const json& value) {
  Fields fields(value, "event");
  const std::string type = fields.text("type");
  llm::Event event;
  const auto choice = static_cast<int>(std::min(fields.count("choice"), kChoicesMax));
  if (choice == kChoicesMax) fields.fail_at("choice", "is too large");
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

}  // namespace

json meta_json(const StoreOptions& meta, std::int64_t stored_unix_s) {
  json out{{"tokens", meta.tokens}, {"stored", stored_unix_s}};
  if (meta.ttl_s) out["ttl_s"] = *meta.ttl_s;
  if (!meta.tenant.empty()) out["tenant"] = meta.tenant;
  if (!meta.name_space.empty()) out["namespace"] = meta.name_space;
  if (!meta.model.empty()) out["model"] = meta.model;
  if (!meta.tags.empty()) out["tags"] = meta.tags;
  if (meta.usd > 0) out["usd"] = meta.usd;
  if (meta.compute_s > 0) out["compute_s"] = meta.compute_s;
  if (meta.stale_s > 0) out["stale_s"] = meta.stale_s;
  if (!meta.semantic_scope.empty()) {
    out["semantic"] = {{"scope", meta.semantic_scope}, {"question", bytes_json(meta.question)}};
  }
  return out;
}

base::Status read_meta(const json& value, StoreOptions& meta, std::int64_t& stored_unix_s) {
  Fields fields(value, "meta");
  meta.tokens = fields.count("tokens");
  stored_unix_s = fields.count("stored");
  if (!fields.at("ttl_s").is_null()) meta.ttl_s = fields.number("ttl_s");
  meta.tenant = fields.text("tenant");
  meta.name_space = fields.text("namespace");
  meta.model = fields.text("model");
  TRY_ASSIGN(meta.tags, read_strings(fields.array("tags"), "tags"));
  meta.usd = fields.number("usd");
  meta.compute_s = fields.number("compute_s");
  meta.stale_s = fields.number("stale_s");
  if (const json& semantic = fields.at("semantic"); !semantic.is_null()) {
    Fields of(semantic, "semantic");
    meta.semantic_scope = of.text("scope");
    // A question that is no UTF-8 is kept as hex, and not taken up again: the tier can do without it.
    if (of.at("question").is_string()) meta.question = of.text("question");
    if (meta.question.empty()) meta.semantic_scope.clear();
    TRY(of.status());
  }
  return fields.status();
}

json value_json(const Value& value) {
  const auto* answer = std::get_if<RecordedAnswer>(&value.content);
  if (answer == nullptr) return {{"value", std::get<json>(value.content)}};
  json events = json::array();
  for (const llm::Event& event : answer->events) events.push_back(event_json(event));
  return {{"version", kVersion}, {"events", std::move(events)}};
}

base::Result<Value> read_value(const json& value) {
  if (!value.is_object() || value.contains("events") == value.contains("value"))
    return corrupt("an entry needs either \"events\" or \"value\"");
  if (value.contains("value")) return Value{base::at(value, "value")};
  if (base::integer_at(value, "version").value_or(1) > kVersion)
    return corrupt(fmt::format("its version is {}, and this server reads {} at most",
                               base::integer_at(value, "version").value_or(0), kVersion));
  RecordedAnswer answer;
  const json& events = base::at(value, "events");
  if (!events.is_array()) return corrupt("events must be an array");
  for (const json& one : events) {
    TRY_ASSIGN(auto event, read_event(one));
    const bool first = answer.events.empty();
    if (first != std::holds_alternative<llm::Started>(event) ||
        (!first && llm::is_terminal(answer.events.back())))
      return corrupt("events must be one started, then deltas and ends, then one done");
    answer.events.push_back(std::move(event));
  }
  if (answer.events.empty() || !llm::is_terminal(answer.events.back()))
    return corrupt("events must end with done");
  return Value{std::move(answer)};
}

json outside_json(const Key& key, const Entry& entry) {
  json out = value_json(entry.value);
  out["key"] = key.hex();
  out["meta"] = meta_json(entry.meta, entry.stored_unix_s);
  return out;
}

base::Result<OutsideEntry> read_outside(const json& value) {
  Fields fields(value, "entry");
  const std::string hex = fields.text("key");
  TRY(fields.status());
  OutsideEntry out;
  const auto key = Key::of_hex(hex);
  if (!key || key->hex() != hex) return corrupt("key must be 64 hex digits, in lower case");
  out.key = *key;
  TRY(read_meta(fields.at("meta"), out.meta, out.stored_unix_s));
  TRY_ASSIGN(out.value, read_value(value));
  return out;
}

}  // namespace pmt::response_cache
