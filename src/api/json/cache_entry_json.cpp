#include "api/json/cache_entry_json.h"

#include <limits>

#include "api/json/fields.h"
#include "api/json/json_writer.h"
#include "base/json.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using response_cache::RecordedAnswer;
using response_cache::StoreOptions;

constexpr std::size_t kTagBytesMax = 128;
constexpr std::size_t kTagsMax = 32;

constexpr Rule<StoreOptions> kRules[] = {
    {"value",
     [](Json, StoreOptions&) -> base::Status { return {}; }},  // parse_entry takes it: null is a value
    {"tokens",
     [](Json v, StoreOptions& o) {
       return integer(v, 0, std::numeric_limits<std::int64_t>::max(), o.tokens);
     }},
    {"reusable", [](Json v, StoreOptions& o) { return flag(v, o.reusable); }},
    {"ttl_s", [](Json v, StoreOptions& o) { return number(v, {.min = 0, .min_excluded = true}, o.ttl_s); }},
    {"tags",
     [](Json v, StoreOptions& o) {
       o.tags.clear();
       return read_array(v, kTagsMax,
                         [&o](Json item) { return text(item, kTagBytesMax, o.tags.emplace_back()); });
     }},
    {"namespace", [](Json v, StoreOptions& o) { return text(v, kTagBytesMax, o.name_space); }},
    {"model", [](Json v, StoreOptions& o) { return text(v, 256, o.model); }},
    {"usd", [](Json v, StoreOptions& o) { return number(v, {.min = 0}, o.usd); }},
};

base::Status read_entry(Json root, PutEntry& out) {
  TRY(read_object<StoreOptions>(root, kRules, UnknownKeys::kRefused, out.options));
  Json value;
  if (root.at_key("value").get(value) != simdjson::SUCCESS)
    return below("value", base::invalid("is required"));
  out.value = to_nlohmann(value);
  return {};
}

json answer_json(const RecordedAnswer& answer) {
  json choices = json::array();
  json usage;
  const auto choice = [&choices](int index) -> json& {
    while (choices.size() <= static_cast<std::size_t>(index)) {
      choices.push_back({{"index", choices.size()}, {"text", ""}, {"finish_reason", nullptr}});
    }
    return choices[static_cast<std::size_t>(index)];
  };
  for (const llm::Event& event : answer.events) {
    if (const auto* delta = std::get_if<llm::Delta>(&event)) {
      choice(delta->choice)["text"].get_ref<std::string&>() += delta->text;
    } else if (const auto* end = std::get_if<llm::ChoiceEnd>(&event)) {
      choice(end->choice)["finish_reason"] = llm::to_string(end->reason);
    } else if (const auto* done = std::get_if<llm::Done>(&event)) {
      usage = {{"prompt_tokens", done->usage.prompt_tokens},
               {"completion_tokens", done->usage.completion_tokens}};
    }
  }
  return {{"choices", std::move(choices)}, {"usage", std::move(usage)}};
}

}  // namespace

base::Result<PutEntry> parse_entry(const std::string& body) {
  TRY_ASSIGN(const Json root, parse_json(body));
  if (!root.is_object()) return base::invalid("The request's body must be a JSON object.");
  PutEntry entry;
  if (base::Status s = read_entry(root, entry); !s) return name_field(s.error());
  return entry;
}

json entry_json(const response_cache::Key& key, const response_cache::Entry& entry, base::Nanos now) {
  const auto* answer = std::get_if<RecordedAnswer>(&entry.value.content);
  return {{"key", key.hex()},
          {"value", answer != nullptr ? answer_json(*answer) : std::get<json>(entry.value.content)},
          {"tokens", entry.meta.tokens},
          {"reusable", entry.meta.reusable},
          {"ttl_s", entry.meta.ttl_s ? json(*entry.meta.ttl_s) : json()},
          {"age_s", base::ms_between(entry.stored_at, now) / 1000},
          {"stored", entry.stored_unix_s},
          {"tags", entry.meta.tags},
          {"namespace", entry.meta.name_space},
          {"model", entry.meta.model},
          {"usd", entry.meta.usd},
          {"bytes", entry.bytes}};
}

json listed_json(json entry, const response_cache::StoreOptions& meta) {
  constexpr std::size_t kPreviewBytes = 240;
  const json& value = base::at(entry, "value");
  const auto text = base::as_text(base::at(base::first_at(value, "choices"), "text"));
  std::string preview = text ? *text : to_text(value);
  if (preview.size() > kPreviewBytes) {
    preview.resize(kPreviewBytes);
    preview += "…";  // the writer mends a character that was cut
  }
  entry["tenant"] = meta.tenant;
  if (!meta.question.empty()) entry["question"] = meta.question;
  entry["preview"] = std::move(preview);
  entry.erase("value");
  return entry;
}

json stats_json(const response_cache::Stats& stats) {
  const auto of = [](const response_cache::LookupCounts& counts) -> json {
    const std::uint64_t lookups = counts.hits + counts.misses;
    return {
        {"lookups", lookups},
        {"hits",
         {{"exact", counts.exact()},
          {"semantic", counts.semantic},
          {"stale", counts.stale},
          {"coalesced", counts.coalesced}}},
        {"misses", counts.misses},
        {"hit_rate", lookups == 0 ? 0.0 : static_cast<double>(counts.hits) / static_cast<double>(lookups)},
        {"tokens_saved", counts.tokens_saved},
        {"usd_saved", counts.usd_saved},
        {"stores", counts.stores}};
  };
  json out = of(stats);
  out["engine_calls"] = of(stats.engine);
  out["refused"] = stats.refused;
  out["evictions"] = stats.evictions;
  out["expired"] = stats.expired;
  out["purged"] = stats.purged;
  out["false_hits"] = stats.flagged;
  return out;
}

json semantic_json(const response_cache::SemanticStats& stats, std::uint64_t hits) {
  json vetoed = json::object();
  for (int i = 1; i < text::kDifferences; ++i) {
    vetoed[text::to_string(static_cast<text::Difference>(i))] = stats.vetoed[static_cast<std::size_t>(i)];
  }
  const response_cache::ShareInterval wrong =
      response_cache::interval_of(static_cast<double>(stats.wrong), static_cast<double>(stats.compared));
  return {{"entries", stats.entries},
          {"lookups", stats.lookups},
          {"hits", hits},
          {"quality",
           {{"compared", stats.compared},
            {"wrong", stats.wrong},
            {"wrong_low", wrong.low},
            {"wrong_high", wrong.high}}},
          {"judged", {{"same", stats.judged_same}, {"different", stats.judged_different}}},
          {"explored", stats.explored},
          {"shadow", {{"hits", stats.shadow_hits}, {"wrong", stats.shadow_wrong}}},
          {"vetoed", std::move(vetoed)},
          {"labels", {{"agreed", stats.agreed}, {"disagreed", stats.disagreed}}},
          {"dropped", stats.dropped},
          {"failed", stats.failed},
          {"embed_ms", stats.embed_ms}};
}

json shared_json(const response_cache::SharedStats& stats) {
  json out = {
      {"state", stats.up ? "up" : "down"},
      {"servers", stats.servers},
      {"hits", stats.hits},
      {"misses", stats.misses},
      {"stores", stats.stores},
      {"waited", stats.waited},
      {"wait_limits", stats.wait_limits},
      {"leases", stats.leases},
      {"leases_taken_over", stats.taken_over},
      {"void", stats.voided},
      {"corrupt", stats.corrupt},
      {"skipped", stats.skipped},
      {"failures", stats.failures},
      {"invalidations", {{"sent", stats.sent}, {"received", stats.received}, {"pending", stats.pending}}},
      {"swept", stats.swept}};
  if (!stats.last_error.empty()) out["error"] = stats.last_error;
  return out;
}

json invalidation_json(const response_cache::InvalidationReport& reach) {
  return {{"told", reach.told}, {"servers", reach.servers}, {"reached", reach.reached}};
}

json disk_json(const response_cache::DiskStats& stats) {
  json out = {{"entries", stats.entries},   {"bytes", stats.bytes},     {"hits", stats.hits},
              {"written", stats.written},   {"evicted", stats.evicted}, {"dropped", stats.dropped},
              {"failures", stats.failures}, {"corrupt", stats.corrupt}};
  if (!stats.set_aside.empty()) out["set_aside"] = stats.set_aside;
  return out;
}

}  // namespace pmt::api
