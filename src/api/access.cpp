#include "api/access.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include <fmt/format.h>

namespace pmt::api {
namespace {

struct Rule {
  std::string_view path;
  Scope scope;
};
constexpr std::array kPublicPaths = {std::string_view("/"), std::string_view("/health"),
                                     std::string_view("/openapi.json")};
/// A path, or what is below it.
constexpr Rule kRules[] = {
    {"/v1/chat/completions", Scope::kInference},
    {"/v1/completions", Scope::kInference},
    {"/v1/responses", Scope::kInference},
    {"/v1/messages", Scope::kInference},
    {"/v1/embeddings", Scope::kInference},
    {"/v1/rerank", Scope::kInference},
    {"/v1/tokenize", Scope::kInference},
    {"/v1/detokenize", Scope::kInference},
    {"/v1/tokenizer_info", Scope::kInference},
    {"/v1/models", Scope::kInference},
    {"/v1/rlm", Scope::kInference},
    {"/v1/cache", Scope::kCache},
    {"/v1/knowledge", Scope::kKnowledge},
};

bool is_below(std::string_view path, std::string_view root) {
  return path == root || (path.starts_with(root) && path[root.size()] == '/');
}

std::string_view bearer(const net::HttpRequest& request) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view value = request.header("authorization");
  const auto same = [](char lower, char c) { return lower == (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); };
  if (value.size() <= kScheme.size() || !std::equal(kScheme.begin(), kScheme.end(), value.begin(), same)) {
    return {};
  }
  value.remove_prefix(kScheme.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

/// Of whichever header has one.
std::string_view key_of(const net::HttpRequest& request) {
  const std::string_view key = bearer(request);
  return key.empty() && request.header("authorization").empty() ? request.header("x-api-key") : key;
}

Access::Decision refused(base::Code code, std::string message, net::Headers headers = {}) {
  return {.caller = nullptr, .headers = std::move(headers), .error = {code, std::move(message)}};
}

std::string whole(double value) {
  return fmt::format("{:.0f}", std::floor(value));
}

Access::Decision over_limit(Caller& caller, std::string message, double wait_s) {
  net::Headers headers;
  Access::add_limit_headers(caller, headers);
  headers.emplace_back("retry-after", whole(std::max(1.0, std::ceil(wait_s))));
  return refused(base::Code::kExhausted, std::move(message), std::move(headers));
}

Access::Decision admit(const std::shared_ptr<Caller>& caller) {
  const std::string& name = caller->key.name;
  if (caller->meters->tokens.limited() && caller->meters->tokens.remaining() <= 0) {
    const double wait_s = caller->meters->tokens.seconds_until(1);
    return over_limit(
        *caller,
        fmt::format("Rate limit reached for key '{}' on tokens per minute: limit {:.0f}. Please try "
                    "again in {}.",
                    name, caller->key.tokens_per_minute, duration_text(wait_s)),
        wait_s);
  }
  if (!caller->meters->requests.try_take(1)) {
    const double wait_s = caller->meters->requests.seconds_until(1);
    return over_limit(
        *caller,
        fmt::format("Rate limit reached for key '{}' on requests per minute: limit {:.0f}. Please try "
                    "again in {}.",
                    name, caller->key.requests_per_minute, duration_text(wait_s)),
        wait_s);
  }
  Access::Decision decision{.caller = caller, .headers = {}, .error = {}, .counted = true};
  const int before = caller->meters->running.fetch_add(1);
  if (caller->key.concurrent_max > 0 && before >= caller->key.concurrent_max) {
    caller->meters->running.fetch_sub(1);
    return over_limit(*caller,
                      fmt::format("Key '{}' may have {} requests running at once: wait for one to end.", name,
                                  caller->key.concurrent_max),
                      1);
  }
  return decision;
}

/// Whether a model would be asked: not for counting tokens, listing, or fetching what was computed before.
bool asks_a_model(const net::HttpRequest& request) {
  static constexpr std::array<std::string_view, 6> kPaths = {"/v1/chat/completions", "/v1/completions",
                                                             "/v1/responses",        "/v1/messages",
                                                             "/v1/embeddings",       "/v1/rerank"};
  return request.method == "POST" && std::ranges::find(kPaths, request.path) != kPaths.end();
}

std::shared_ptr<Caller> caller_of(KeyOptions key, const base::Clock& clock) {
  auto meters = std::make_shared<Meters>(key, clock);
  return std::make_shared<Caller>(std::move(key), std::move(meters));
}

}  // namespace

const char* to_string(Scope scope) {
  static constexpr const char* kNames[] = {"public", "inference", "cache", "knowledge", "admin"};
  return kNames[static_cast<int>(scope)];
}

std::optional<Scope> scope_of_name(std::string_view name) {
  for (const Scope scope : {Scope::kInference, Scope::kCache, Scope::kKnowledge, Scope::kAdmin}) {
    if (name == to_string(scope)) return scope;
  }
  return std::nullopt;
}

Scope scope_of_path(std::string_view path) {
  if (std::ranges::find(kPublicPaths, path) != kPublicPaths.end()) return Scope::kPublic;
  for (const Rule& rule : kRules) {
    if (is_below(path, rule.path)) return rule.scope;
  }
  return Scope::kAdmin;
}

Scope scope_of(const net::HttpRequest& request) {
  const bool changes_models = request.method == "POST" && is_below(request.path, "/v1/models");
  return changes_models ? Scope::kAdmin : scope_of_path(request.path);
}

bool Caller::has(Scope scope) const {
  if (scope == Scope::kPublic) return true;
  return std::ranges::any_of(key.scopes, [scope](Scope own) { return own == scope || own == Scope::kAdmin; });
}

Access::Access(AccessOptions options, const base::Clock& clock)
    : clock_(clock),
      hosts_(std::move(options.hosts)),
      spending_(options.spending),
      anybody_(caller_of({.name = "", .sha256 = {}, .scopes = {Scope::kAdmin}}, clock)),
      nobody_(caller_of({.name = "", .sha256 = {}, .scopes = {}}, clock)),
      keys_(std::make_shared<Keys>()) {
  set_keys(std::move(options.keys));
}

std::shared_ptr<const Access::Keys> Access::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

void Access::set_keys(std::vector<KeyOptions> keys) {
  const auto before = this->keys();
  auto now = std::make_shared<Keys>();
  for (KeyOptions& key : keys) {
    const base::Digest digest = key.sha256;
    const auto known = before->find(digest);
    if (known == before->end()) {
      now->emplace(digest, caller_of(std::move(key), clock_));
      continue;
    }
    const std::shared_ptr<Meters>& meters = known->second->meters;
    meters->requests.set_limit(key.requests_per_minute);
    meters->tokens.set_limit(key.tokens_per_minute);
    now->emplace(digest, std::make_shared<Caller>(std::move(key), meters));
  }
  const std::lock_guard lock(mutex_);
  keys_ = std::move(now);
}

bool Access::still_has(const Caller& caller, Scope scope) const {
  const auto keys = this->keys();
  if (keys->empty()) return &caller == anybody_.get();
  const auto found = keys->find(caller.key.sha256);
  return found != keys->end() && found->second->has(scope);
}

std::optional<Access::Decision> Access::over_budget(const Caller& caller,
                                                    const net::HttpRequest& request) const {
  const double budget = caller.key.budget_usd_per_day;
  if (budget <= 0 || spending_ == nullptr || !asks_a_model(request)) return std::nullopt;
  const double spent = spending_->today(caller.key.name);
  if (spent < budget) return std::nullopt;
  spending_->refused(caller.key.name);
  const double wait_s = spending_->seconds_left();
  return refused(
      base::Code::kOverBudget,
      fmt::format("You exceeded the budget of key '{}': ${:.6g} of ${:.6g} for today are spent. It "
                  "resets at 00:00 UTC, in {}.",
                  caller.key.name, spent, budget, duration_text(wait_s)),
      {{"retry-after", whole(std::max(1.0, wait_s))}});
}

std::vector<std::string> Access::tenants() const {
  std::set<std::string> names{""};
  for (const auto& [digest, caller] : *keys()) names.insert(caller->tenant());
  return {names.begin(), names.end()};
}

std::vector<Access::Budget> Access::budgets() const {
  std::vector<Budget> out;
  const auto keys = this->keys();
  for (const auto& [digest, caller] : *keys) {
    const KeyOptions& key = caller->key;
    if (key.budget_usd_per_day <= 0 || spending_ == nullptr) continue;
    out.push_back({.key = key.name,
                   .tenant = key.tenant,
                   .usd_per_day = key.budget_usd_per_day,
                   .spent_usd = spending_->today(key.name),
                   .refusals = spending_->refusals(key.name)});
  }
  std::ranges::sort(out, {}, &Budget::key);
  return out;
}

Access::Decision Access::enter_without_keys(const net::HttpRequest& request, Scope scope) const {
  base::Status checked = hosts_.check_origin(request);
  if (checked && scope != Scope::kPublic) checked = hosts_.check_host(request);
  if (!checked) return refused(checked.error().code, checked.error().message);
  return {.caller = anybody_, .headers = {}, .error = {}};
}

Access::Decision Access::enter(const net::HttpRequest& request) {
  const Scope scope = scope_of(request);
  const auto keys = this->keys();
  if (keys->empty()) return enter_without_keys(request, scope);
  if (scope == Scope::kPublic) return {.caller = nobody_, .headers = {}, .error = {}};
  const std::string_view key = key_of(request);
  const auto found = key.empty() ? keys->end() : keys->find(base::sha256(key));
  if (found == keys->end()) {
    return refused(base::Code::kUnauthorized,
                   request.header("authorization").empty() && key.empty()
                       ? "You didn't provide an API key: send it in the header 'Authorization: Bearer KEY'."
                       : "Incorrect API key provided.",
                   {{"www-authenticate", "Bearer"}});
  }
  const std::shared_ptr<Caller>& caller = found->second;
  if (!caller->has(scope)) {
    return refused(
        base::Code::kForbidden,
        fmt::format("You have insufficient permissions for this operation. Missing scope: {}; key '{}' "
                    "doesn't have it.",
                    to_string(scope), caller->key.name));
  }
  if (scope != Scope::kInference) return {.caller = caller, .headers = {}, .error = {}};
  if (auto over = over_budget(*caller, request)) return *std::move(over);
  return admit(caller);
}

void Access::add_limit_headers(Caller& caller, net::Headers& headers) {
  const auto add = [&headers](const char* what, RateBucket& bucket) {
    if (!bucket.limited()) return;
    headers.emplace_back(fmt::format("x-ratelimit-limit-{}", what), whole(bucket.limit()));
    headers.emplace_back(fmt::format("x-ratelimit-remaining-{}", what), whole(bucket.remaining()));
    headers.emplace_back(fmt::format("x-ratelimit-reset-{}", what),
                         duration_text(bucket.seconds_until_full()));
  };
  add("requests", caller.meters->requests);
  add("tokens", caller.meters->tokens);
}

void Access::leave(const Decision& decision) {
  if (decision.counted) decision.caller->meters->running.fetch_sub(1);
}

}  // namespace pmt::api
