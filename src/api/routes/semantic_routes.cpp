#include "api/routes/semantic_routes.h"

#include <charconv>

#include "api/json/fields.h"
#include "api/json/json_writer.h"
#include "base/hex.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using response_cache::SemanticPair;
using response_cache::SemanticTier;
using response_cache::Verdict;

constexpr std::size_t kPairsListed = 20;

json pair_json(const SemanticPair& pair) {
  const std::string verdict = to_string(pair.verdict);
  return {{"id", pair.id},
          {"time", pair.unix_s},
          {"model", pair.who.model},
          {"tenant", pair.who.tenant},
          {"question", pair.question},
          {"nearest", pair.nearest},
          {"answer", pair.answer},
          {"computed", pair.computed.empty() ? json() : json(pair.computed)},
          {"key", pair.candidate.key.hex()},
          {"similarity", pair.candidate.cosine},
          {"chance", pair.candidate.judgement.p},
          {"could_serve", pair.could_serve},
          {"outcome", to_string(pair.outcome)},
          {"verdict", verdict.empty() ? json() : json(verdict)}};
}

base::Result<std::uint64_t> read_number(std::string_view text, std::string_view name) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > 1'000'000'000)
    return name_field(base::invalid("must be a number from 0 to 1000000000", std::string(name)));
  return number;
}

bool sees(const Caller& caller, const SemanticPair& pair) {
  return caller.is_operator() || pair.who.tenant == caller.tenant();
}

void list_pairs(const SemanticTier& tier, const Exchange& exchange) {
  const std::string_view only = exchange.request.query_value("only");
  if (!only.empty() && only != "unjudged" && only != "judged")
    return send_error(*exchange.responder, name_field(base::invalid("must be unjudged or judged", "only")));
  const std::string_view asked = exchange.request.query_value("page");
  const base::Result<std::uint64_t> page = read_number(asked.empty() ? "0" : asked, "page");
  if (!page) return send_error(*exchange.responder, page.error());
  std::size_t total = 0;
  json items = json::array();
  for (const SemanticPair& pair : tier.pairs()) {
    const bool judged = pair.verdict != Verdict::kNone;
    if (!sees(*exchange.caller, pair) || (!only.empty() && judged != (only == "judged"))) continue;
    if (total / kPairsListed == *page) items.push_back(pair_json(pair));
    ++total;
  }
  send_json(
      *exchange.responder, 200,
      to_text({{"page", *page}, {"page_size", kPairsListed}, {"total", total}, {"items", std::move(items)}}));
}

constexpr Rule<Verdict> kRules[] = {
    {"verdict",
     [](Json value, Verdict& verdict) -> base::Status {
       if (value.is_null()) return {};
       std::string said;
       TRY(text(value, 16, said));
       if (said != "same" && said != "different") return base::invalid("must be same, different or null");
       verdict = said == "same" ? Verdict::kSame : Verdict::kDifferent;
       return {};
     }},
};

base::Result<Verdict> read_verdict(const std::string& body) {
  TRY_ASSIGN(const Json root, parse_json(body));
  if (!root.is_object()) return base::invalid("The request's body must be a JSON object.");
  Verdict verdict = Verdict::kNone;
  if (const base::Status read = read_object<Verdict>(root, kRules, UnknownKeys::kRefused, verdict); !read)
    return name_field(read.error());
  Json given;
  if (root.at_key("verdict").get(given) != simdjson::SUCCESS)
    return name_field(below("verdict", base::invalid("is required")));
  return verdict;
}

void judge_pair(SemanticTier& tier, const Exchange& exchange) {
  const base::Result<std::uint64_t> id = read_number(exchange.tail, "id");
  if (!id) return send_error(*exchange.responder, id.error());
  const base::Result<Verdict> verdict = read_verdict(exchange.request.body);
  if (!verdict) return send_error(*exchange.responder, verdict.error());
  SemanticTier::Judging judging{.id = *id, .verdict = *verdict};
  if (!exchange.caller->is_operator()) judging.tenant = exchange.caller->tenant();
  const base::Result<SemanticPair> judged = tier.judge(judging);
  if (!judged) return send_error(*exchange.responder, judged.error());
  send_json(*exchange.responder, 200, to_text(pair_json(*judged)));
}

}  // namespace

void add_semantic_routes(Router& router, const ApiOptions& options, Background& background) {
  const auto add = [&](const char* method, const char* pattern, auto act) {
    router.add(method, pattern, [&options, act](const Exchange& exchange) {
      if (options.semantic != nullptr) return act(*options.semantic, exchange);
      send_error(*exchange.responder,
                 {base::Code::kNotFound, "This server has no semantic tier: no cache, or no embedder."});
    });
  };
  add("GET", "/v1/cache/pairs", list_pairs);
  // It may wait for other servers, which drop entries too.
  add("POST", "/v1/cache/pairs/{id}", [&background](SemanticTier& tier, const Exchange& exchange) {
    if (background.run([&tier, exchange] { judge_pair(tier, exchange); })) return;
    send_error(*exchange.responder, {base::Code::kUnavailable, "Too many purges wait: try again."});
  });
}

}  // namespace pmt::api
