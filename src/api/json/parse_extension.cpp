// `permutation`: our extension object of a request.
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

constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kTagsMax = 32;
constexpr std::size_t kDomainsMax = 32;
constexpr std::size_t kContextBytesMax = 1U << 30;  // the body's own limit comes first
constexpr std::size_t kContextPartsMax = 100'000;
constexpr Range kNotNegative = {.min = 0};
constexpr Range kPositive = {.min = 0, .min_excluded = true};

base::Status read_names(Json value, std::size_t items_max, std::vector<std::string>& out) {
  out.clear();
  return read_array(value, items_max, [&out](Json item) -> base::Status {
    TRY(text(item, kNameBytesMax, out.emplace_back()));
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
    {"namespace", [](Json v, CacheOptions& c) { return text(v, kNameBytesMax, c.name_space); }},
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
};

constexpr Rule<Budget> kBudgetRules[] = {
    {"usd", [](Json v, Budget& b) { return number(v, kNotNegative, b.usd); }},
    {"tokens",
     [](Json v, Budget& b) { return integer(v, 1, std::numeric_limits<std::int64_t>::max(), b.tokens); }},
    {"seconds", [](Json v, Budget& b) { return number(v, kPositive, b.seconds); }},
};

base::Status read_context(Json value, std::vector<std::string>& out) {
  if (value.is_string()) return text(value, kContextBytesMax, out.emplace_back());
  return read_array(value, kContextPartsMax,
                    [&out](Json item) { return text(item, kContextBytesMax, out.emplace_back()); });
}

constexpr Rule<llm::RlmRequest> kRlmRules[] = {
    {"context", [](Json v, llm::RlmRequest& r) { return read_context(v, r.context); }},
    {"max_depth", [](Json v, llm::RlmRequest& r) { return integer(v, 1, 16, r.depth_max); }},
    {"max_iterations", [](Json v, llm::RlmRequest& r) { return integer(v, 1, 100, r.iterations_max); }},
    {"enable_kv_cache_compression", [](Json v, llm::RlmRequest& r) { return flag(v, r.kv_compression); }},
    {"enable_speculative_decoding", [](Json v, llm::RlmRequest& r) { return flag(v, r.speculation); }},
};

base::Status read_unified_ratio(Json value, llm::UnifiedRequest& unified) {
  std::int64_t ratio = 0;
  if (value.get(ratio) != simdjson::SUCCESS || (ratio != 8 && ratio != 16 && ratio != 32 && ratio != 64)) {
    return mismatch("8, 16, 32 or 64", value);
  }
  unified.ratio = static_cast<double>(ratio);
  return {};
}

constexpr Rule<llm::UnifiedRequest> kUnifiedRules[] = {
    {"enable_basic_kv", [](Json v, llm::UnifiedRequest& u) { return flag(v, u.basic_kv); }},
    {"enable_continual_kv", [](Json v, llm::UnifiedRequest& u) { return flag(v, u.continual_kv); }},
    {"enable_inference_kv", [](Json v, llm::UnifiedRequest& u) { return flag(v, u.inference_kv); }},
    {"ratio", read_unified_ratio},
    {"rlm_context_threshold",
     [](Json v, llm::UnifiedRequest& u) {
       return integer(v, 0, std::numeric_limits<std::int64_t>::max(), u.rlm_context_threshold);
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
    {"rlm",
     [](Json v, Request& r) {
       return read_object<llm::RlmRequest>(v, kRlmRules, UnknownKeys::kRefused, r.rlm);
     }},
    {"unified",
     [](Json v, Request& r) {
       return read_object<llm::UnifiedRequest>(v, kUnifiedRules, UnknownKeys::kRefused, r.unified);
     }},
    {"trace", [](Json v, Request& r) { return flag(v, r.want_trace); }},
};

}  // namespace

base::Status parse_extension(Json value, Request& out) {
  return read_object<Request>(value, kRules, UnknownKeys::kRefused, out);
}

}  // namespace pmt::api
