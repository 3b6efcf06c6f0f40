// `permutation`: our extension object of a request.
#include <algorithm>

#include "api/json/fields.h"
#include "api/json/parse.h"

namespace pmt::api {
namespace {

using llm::Budget;
using llm::CacheMode;
using llm::CacheOptions;
using llm::KvMode;
using llm::KvOptions;
using llm::Request;
using llm::Speculation;

constexpr std::size_t kTagBytesMax = 128;
constexpr std::size_t kTagsMax = 32;
constexpr std::size_t kDomainsMax = 32;
constexpr Range kNotNegative = {.min = 0};
constexpr Range kPositive = {.min = 0, .min_excluded = true};

base::Status read_names(Json value, std::size_t items_max, std::vector<std::string>& out) {
  out.clear();
  return read_array(value, items_max, [&out](Json item) -> base::Status {
    TRY(text(item, kTagBytesMax, out.emplace_back()));
    if (out.back().empty()) return base::invalid("must not be an empty string");
    return {};
  });
}

base::Status read_semantic(Json value, CacheOptions& cache) {
  static constexpr Rule<CacheOptions> kRules[] = {
      {"error_max",
       [](Json v, CacheOptions& c) {
         return number(v, {.min = 0, .max = 1, .min_excluded = true, .max_excluded = true},
                       c.semantic_error_max);
       }},
      {"shadow", [](Json v, CacheOptions& c) { return flag(v, c.semantic_shadow); }},
  };
  TRY(read_object<CacheOptions>(value, kRules, UnknownKeys::kRefused, cache));
  if (!cache.semantic_error_max) return below("error_max", base::invalid("is required"));
  return {};
}

constexpr Rule<CacheOptions> kCacheRules[] = {
    {"mode",
     [](Json v, CacheOptions& c) {
       return one_of<CacheMode>(v,
                                {{"on", CacheMode::kOn},
                                 {"off", CacheMode::kOff},
                                 {"read_only", CacheMode::kReadOnly},
                                 {"write_only", CacheMode::kWriteOnly},
                                 {"refresh", CacheMode::kRefresh}},
                                c.mode);
     }},
    {"ttl_s", [](Json v, CacheOptions& c) { return number(v, kPositive, c.ttl_s); }},
    {"max_age_s", [](Json v, CacheOptions& c) { return number(v, kNotNegative, c.max_age_s); }},
    {"stale_while_revalidate_s",
     [](Json v, CacheOptions& c) { return number(v, kNotNegative, c.stale_while_revalidate_s); }},
    {"semantic", read_semantic},
    {"namespace", [](Json v, CacheOptions& c) { return text(v, kTagBytesMax, c.name_space); }},
    {"tags", [](Json v, CacheOptions& c) { return read_names(v, kTagsMax, c.tags); }},
    {"reusable", [](Json v, CacheOptions& c) { return flag(v, c.reusable); }},
};

constexpr Rule<KvOptions> kKvRules[] = {
    {"ratio",
     [](Json v, KvOptions& kv) {
       return number(v, {1, 64}, kv.ratio);
     }},
    {"mode",
     [](Json v, KvOptions& kv) {
       return one_of<KvMode>(v,
                             {{"auto", KvMode::kAuto},
                              {"exact", KvMode::kExact},
                              {"query_aware", KvMode::kQueryAware},
                              {"query_agnostic", KvMode::kQueryAgnostic}},
                             kv.mode);
     }},
    {"best_effort", [](Json v, KvOptions& kv) { return flag(v, kv.best_effort); }},
};

constexpr Rule<Budget> kBudgetRules[] = {
    {"usd", [](Json v, Budget& b) { return number(v, kNotNegative, b.usd); }},
    {"tokens",
     [](Json v, Budget& b) { return integer(v, 1, std::numeric_limits<std::int64_t>::max(), b.tokens); }},
    {"seconds", [](Json v, Budget& b) { return number(v, kPositive, b.seconds); }},
};

constexpr Rule<llm::ThinkingOptions> kThinkingRules[] = {
    {"budget_tokens",
     [](Json v, llm::ThinkingOptions& t) {
       return integer(v, 0, std::numeric_limits<std::int32_t>::max(), t.budget_tokens);
     }},
};

constexpr Rule<Request> kRules[] = {
    {"cache",
     [](Json v, Request& r) {
       return read_object<CacheOptions>(v, kCacheRules, UnknownKeys::kRefused, r.cache);
     }},
    {"kv",
     [](Json v, Request& r) { return read_object<KvOptions>(v, kKvRules, UnknownKeys::kRefused, r.kv); }},
    {"speculation",
     [](Json v, Request& r) {
       return one_of<Speculation>(v,
                                  {{"auto", Speculation::kAuto},
                                   {"off", Speculation::kOff},
                                   {"prompt_lookup", Speculation::kPromptLookup}},
                                  r.speculation);
     }},
    {"knowledge", [](Json v, Request& r) { return read_names(v, kDomainsMax, r.knowledge); }},
    {"budget",
     [](Json v, Request& r) {
       return read_object<Budget>(v, kBudgetRules, UnknownKeys::kRefused, r.budget);
     }},
    {"thinking",
     [](Json v, Request& r) {
       return read_object<llm::ThinkingOptions>(v, kThinkingRules, UnknownKeys::kRefused, r.thinking);
     }},
    {"trace", [](Json v, Request& r) { return flag(v, r.want_trace); }},
};

/// As an error lists them: the engines before the last of our own.
std::vector<std::string_view> known_names(EngineOptionsReaders engines) {
  std::vector<std::string_view> names;
  for (const Rule<Request>& rule : kRules) names.push_back(rule.name);
  for (const llm::EngineOptionsReader& engine : engines) names.insert(names.end() - 1, engine.name);
  return names;
}

template <class T>
const Rule<T>* find(std::span<const Rule<T>> rules, std::string_view name) {
  const auto found =
      std::find_if(rules.begin(), rules.end(), [name](const Rule<T>& rule) { return rule.name == name; });
  return found == rules.end() ? nullptr : &*found;
}

}  // namespace

/// Not read_object: which engines there are is known only when the server starts.
base::Status parse_extension(Json value, EngineOptionsReaders engines, Request& out) {
  simdjson::dom::object members;
  if (value.get(members) != simdjson::SUCCESS) return mismatch("an object", value);
  for (const auto member : members) {
    if (const auto* own = find<Request>(kRules, member.key); own != nullptr) {
      TRY(base::read_member(*own, member.value, out));
    } else if (const auto* engine = find(engines, member.key); engine != nullptr) {
      TRY(base::read_member(*engine, member.value, out.options));
    } else {
      return base::not_a_setting(member.key, known_names(engines));
    }
  }
  return {};
}

}  // namespace pmt::api
