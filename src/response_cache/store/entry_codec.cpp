#include "response_cache/store/entry_codec.h"

#include <utility>

#include <fmt/format.h>

#include "response_cache/store/event_codec.h"
#include "response_cache/store/json_fields.h"

namespace pmt::response_cache {

using nlohmann::json;

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
  for (const Key& part : meta.made_of) out["made_of"].push_back(part.hex());
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
  TRY_ASSIGN(const auto parts, read_strings(fields.array("made_of"), "made_of"));
  for (const std::string& part : parts) {
    const auto key = Key::of_hex(part);
    if (!key) return corrupt("made_of must be an array of keys");
    meta.made_of.push_back(*key);
  }
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
  return {{"version", kEventsVersion}, {"events", std::move(events)}};
}

base::Result<Value> read_value(const json& value) {
  if (!value.is_object() || value.contains("events") == value.contains("value"))
    return corrupt("an entry needs either \"events\" or \"value\"");
  if (value.contains("value")) return Value{base::at(value, "value")};
  if (base::integer_at(value, "version").value_or(1) > kEventsVersion)
    return corrupt(fmt::format("its version is {}, and this server reads {} at most",
                               base::integer_at(value, "version").value_or(0), kEventsVersion));
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
