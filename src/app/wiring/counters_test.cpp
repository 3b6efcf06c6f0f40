// Thousands of random acts against the whole server, and after each few of them every figure that it shows, against
// what it must be from the acts alone. COUNTERS_ACTS and COUNTERS_SEED choose how many and which.
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

#include "app/wiring/counted_server.h"
#include "app/wiring/counters_figures.h"
#include "app/wiring/counters_oracle.h"

namespace pmt::app::counted {
namespace {

using nlohmann::json;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Player {
 public:
  Player(Server& server, std::uint64_t seed) : server_(server), random_(seed) {
    oracle_.digest_of = [this](const std::string& key) {
      const auto found = digests_.find(key);
      return found == digests_.end() ? std::string() : found->second;
    };
  }

  void act();
  void compare();
  const std::string& last() const { return last_; }

 private:
  std::size_t roll(std::size_t sides) { return random_() % sides; }
  bool one_in(std::size_t n) { return roll(n) == 0; }
  template <class T>
  const T& one_of(const std::vector<T>& of) {
    return of[roll(of.size())];
  }
  std::string caller() { return one_of<std::string>({"ann", "bob"}); }
  static std::string tenant_of(const std::string& who) {
    return who == "ann" ? "a" : who == "bob" ? "b" : "";
  }
  std::string any_digest() {
    if (digests_.empty() || one_in(10)) return base::sha256(std::to_string(roll(1000))).hex();
    auto at = digests_.begin();
    std::advance(at, static_cast<std::ptrdiff_t>(roll(digests_.size())));
    return at->second;
  }
  /// The key of what `who` may see by this digest; "": nothing that lives.
  std::string seen(const std::string& who, const std::string& digest, bool only_live = true) const {
    const std::string key = oracle_.key_of_digest(digest);
    if (key.empty()) return "";
    const Entry& entry = oracle_.entries.at(key);
    const bool may = who == "ops" || entry.tenant == tenant_of(who);
    return may && (!only_live || entry.live(oracle_.now)) ? key : "";
  }

  void ask();
  void learn_parts(const std::string& key);
  void look();
  void list();
  void put_or_get();
  void remove();
  void purge();
  void flag();
  void move();
  void teach();
  void pass_time();

  void expect(const Figures& wanted, const Figures& got, const std::string& where) const;
  void compare_metrics();
  void compare_lists();
  void compare_hits(std::int64_t live);

  Server& server_;
  std::mt19937_64 random_;
  Oracle oracle_;
  std::map<std::string, std::string> digests_;  // by the oracle's key
  std::int64_t flagged_ = 0;
  std::string last_;
};

void Player::act() {
  static constexpr std::pair<int, void (Player::*)()> kActs[] = {
      {45, &Player::ask},   {12, &Player::look},    {6, &Player::list}, {12, &Player::put_or_get},
      {5, &Player::remove}, {3, &Player::purge},    {4, &Player::flag}, {1, &Player::move},
      {4, &Player::teach},  {8, &Player::pass_time}};
  int sides = 0;
  for (const auto& [weight, what] : kActs) sides += weight;
  int rolled = static_cast<int>(roll(static_cast<std::size_t>(sides)));
  for (const auto& [weight, what] : kActs) {
    rolled -= weight;
    if (rolled < 0) return (this->*what)();
  }
}

void Player::ask() {
  const std::string who = caller();
  Asking a{.model = one_of<std::string>({"tiny", "tiny", "permutation", "permutation", "alone"}),
           .tenant = tenant_of(who),
           .mode = one_of<std::string>(
               {"on", "on", "on", "on", "on", "read_only", "write_only", "refresh", "off"}),
           .name_space = one_in(6) ? "n1" : "",
           .tag = one_in(6) ? "t1" : "",
           .question = static_cast<int>(roll(kQuestions))};
  if (one_in(5)) a.ttl = 3.5 + static_cast<double>(roll(20));
  if (a.model == "tiny" && one_in(4)) a.stale = 6;
  a.knows = a.model == "tiny" && oracle_.knows(a.tenant) && one_in(2);
  a.sampled = one_in(12);
  json cache = {{"mode", a.mode}};
  if (!a.name_space.empty()) cache["namespace"] = a.name_space;
  if (!a.tag.empty()) cache["tags"] = {a.tag};
  if (a.ttl) cache["ttl_s"] = *a.ttl;
  if (a.stale > 0) cache["stale_while_revalidate_s"] = a.stale;
  json body = {{"model", a.model},
               {"temperature", a.sampled ? 1 : 0},
               {"messages", {{{"role", "user"}, {"content", text_of(a.question)}}}},
               {"permutation", {{"cache", cache}}}};
  if (a.knows) body["permutation"]["knowledge"] = {"acme"};
  last_ = fmt::format("{} asks {}", who, body.dump());
  const std::string key = oracle_.key_of(a);
  const std::string wanted = oracle_.ask(a);
  const auto answer = server_.send("POST", "/v1/chat/completions", who, body.dump());
  ASSERT_EQ(answer.status, 200) << last_ << answer.body;
  ASSERT_EQ(answer.header("x-permutation-cache"), wanted) << last_ << answer.body;
  if (wanted == "bypass") return;
  digests_[key] = answer.header("x-permutation-cache-key");
  if (const auto kept = oracle_.entries.find(key); kept != oracle_.entries.end())
    kept->second.digest = digests_[key];
  if (a.model == "permutation" && wanted == "miss" && a.writes()) learn_parts(key);
}

/// The digests of the calls that an engine's answer was made of: an export says them.
void Player::learn_parts(const std::string& key) {
  const auto lines = server_.send("GET", "/v1/cache/export?prefix=" + digests_[key], "ops").body;
  const json entry = json::parse(lines, nullptr, false);
  ASSERT_TRUE(entry.is_object()) << last_ << lines;
  const auto& wanted = oracle_.entries.at(key).made_of;
  ASSERT_EQ(entry["meta"]["made_of"].size(), wanted.size()) << last_ << lines;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    digests_[wanted[i]] = entry["meta"]["made_of"][i];
    if (const auto kept = oracle_.entries.find(wanted[i]); kept != oracle_.entries.end())
      kept->second.digest = digests_[wanted[i]];
  }
}

void Player::look() {
  const std::string who = one_of<std::string>({"ann", "bob", "ops"}), digest = any_digest();
  last_ = who + " looks at " + digest;
  const int status = server_.send("GET", "/v1/cache/entries/" + digest, who).status;
  ASSERT_EQ(status, seen(who, digest).empty() ? 404 : 200) << last_;
}

void Player::list() {
  const std::string what =
      one_of<std::string>({"/v1/dashboard/items?kind=cache", "/v1/cache/export", "/metrics", "/v1/cache",
                           "/v1/audit", "/v1/knowledge", "/v1/dashboard/items?kind=requests"});
  last_ = "ops lists " + what;
  ASSERT_EQ(server_.send("GET", what, "ops").status, 200) << last_;
}

void Player::put_or_get() {
  const std::string who = caller(), tenant = tenant_of(who), name = "v" + std::to_string(roll(12));
  const std::string path = "/v1/cache/entries/" + name;
  if (one_in(2)) {
    last_ = who + " gets " + name;
    const bool there = oracle_.use_own(tenant, name);
    ASSERT_EQ(server_.send("GET", path, who).status, there ? 200 : 404) << last_;
    return;
  }
  Entry value{.tokens = static_cast<std::int64_t>(roll(9)), .usd = 0.5};
  const bool reusable = !one_in(6);
  json body = {{"value", name}, {"tokens", value.tokens}, {"usd", value.usd}, {"reusable", reusable}};
  if (one_in(3)) {
    value.ttl = 2.5 + static_cast<double>(roll(10));
    body["ttl_s"] = *value.ttl;
  }
  last_ = who + " puts " + name + " " + body.dump();
  const auto answer = server_.send("PUT", path, who, body.dump());
  ASSERT_EQ(answer.status, 200) << last_ << answer.body;
  digests_[Oracle::own_key(tenant, name)] = json::parse(answer.body)["key"];
  oracle_.put(tenant, name, value, reusable);
}

void Player::remove() {
  const std::string who = one_of<std::string>({"ann", "bob", "ops"});
  if (who != "ops" && one_in(2)) {
    const std::string name = "v" + std::to_string(roll(12)), own = Oracle::own_key(tenant_of(who), name);
    last_ = who + " deletes " + name;
    const bool gone = oracle_.purge([&](const std::string& key, const Entry&) { return key == own; }) > 0;
    ASSERT_EQ(server_.send("DELETE", "/v1/cache/entries/" + name, who).status, gone ? 200 : 404) << last_;
    return;
  }
  const std::string digest = any_digest(), key = seen(who, digest, who != "ops");
  last_ = who + " deletes " + digest;
  if (!key.empty()) oracle_.purge_answer(key);
  ASSERT_EQ(server_.send("DELETE", "/v1/cache/entries/" + digest, who).status, key.empty() ? 404 : 200)
      << last_;
}

void Player::purge() {
  const std::string who = one_of<std::string>({"ann", "bob", "ops"});
  const std::string filter = one_of<std::string>(
      {"tag=t1", "namespace=n1", "model=permutation", "model=small", "model=tiny", "tag=none"});
  last_ = who + " purges " + filter;
  const auto gone = oracle_.purge([&](const std::string&, const Entry& entry) {
    const auto value = filter.substr(filter.find('=') + 1);
    const std::string& of = filter.starts_with("tag")     ? entry.tag
                            : filter.starts_with("model") ? entry.model
                                                          : entry.name_space;
    return of == value && (who == "ops" || entry.tenant == tenant_of(who));
  });
  const auto answer = server_.send("DELETE", "/v1/cache?" + filter, who);
  ASSERT_EQ(json::parse(answer.body)["purged"], gone) << last_;
}

void Player::flag() {
  const std::string who = one_of<std::string>({"ann", "bob", "ops"}), digest = any_digest(),
                    key = seen(who, digest);
  last_ = who + " flags " + digest + " " + key;
  const auto answer = server_.send("POST", "/v1/cache/entries/" + digest + "/false_hit", who);
  ASSERT_EQ(answer.status, key.empty() ? 404 : 200) << last_ << answer.body;
  if (key.empty()) return;
  oracle_.flag(key);
  ASSERT_EQ(json::parse(answer.body)["false_hits"], ++flagged_) << last_;
}

/// Out and in again, or a restart.
void Player::move() {
  if (one_in(2)) {
    last_ = "restart";
    server_.restart();
    oracle_.restart();
    flagged_ = 0;
    return;
  }
  last_ = "ops exports and imports";
  const std::string lines = server_.send("GET", "/v1/cache/export", "ops").body;
  if (lines.empty()) return;
  ASSERT_EQ(server_.send("POST", "/v1/cache/import", "ops", lines).status, 200) << last_;
  oracle_.import_all();
}

void Player::teach() {
  const std::string tenant = tenant_of(caller());
  if (oracle_.knows(tenant) && one_in(4)) {
    last_ = "forget what " + tenant + " taught";
    ASSERT_TRUE(server_.library(tenant).forget("acme")) << last_;
    oracle_.forget(tenant);
    return;
  }
  const int thing = static_cast<int>(roll(kThings));
  oracle_.teach(tenant, thing);
  last_ = fmt::format("{} teaches {}", tenant, text_of(thing));
  const std::string line = fmt::format(R"({{"id": "f{}", "prompt": "{}", "answer": "answer {}"}})", thing,
                                       text_of(thing), oracle_.taught[tenant][thing]);
  const auto report =
      server_.library(tenant).learn("acme", knowledge_cache::parse_facts(line, {}), "test", {});
  ASSERT_TRUE(report) << last_ << report.error().message;
  ASSERT_EQ(report->learnt + report->updated, 1U) << last_;
}

void Player::pass_time() {
  const auto seconds = static_cast<std::int64_t>(1 + roll(4));
  last_ = fmt::format("{} s pass", seconds);
  server_.clock.advance(std::chrono::seconds(seconds));
  oracle_.now += seconds;
}

void Player::expect(const Figures& wanted, const Figures& got, const std::string& where) const {
  for (const auto& [name, value] : wanted) {
    const auto found = got.find(name);
    ASSERT_NE(found, got.end()) << where << " lacks " << name << "; last: " << last_;
    ASSERT_NEAR(found->second, value, 1e-9 * (1 + value)) << where << name << "; last: " << last_;
  }
}

void Player::compare() {
  ASSERT_EQ(server_.send("POST", "/v1/cache/flush", "ops").status, 200);
  const json cache = server_.get("/v1/cache", "ops");
  Figures got;
  flatten(cache, "", got);
  ASSERT_NO_FATAL_FAILURE(expect(expected_of_operator(oracle_), got, "/v1/cache: "));
  for (const char* who : {"ann", "bob"}) {
    got.clear();
    flatten(server_.get("/v1/cache", who), "", got);
    ASSERT_NO_FATAL_FAILURE(
        expect(expected_of_tenant(oracle_, tenant_of(who)), got, std::string(who) + "'s /v1/cache: "));
  }
  const json shown = server_.snapshot();
  ASSERT_EQ(shown["cache"], cache) << "the page is told something else; last: " << last_;
  ASSERT_EQ(shown["audit"], server_.get("/v1/audit", "ops")) << last_;
  ASSERT_NO_FATAL_FAILURE(compare_metrics());
  ASSERT_NO_FATAL_FAILURE(compare_lists());
  got.clear();
  flatten(server_.get("/v1/history?range=24h", "ops")["total"], "", got);
  got["by models"] = got["/requests/computed"] + got["/requests/upstream"];
  ASSERT_NO_FATAL_FAILURE(expect(expected_of_history(oracle_), got, "/v1/history: "));
}

void Player::compare_metrics() {
  const std::string text = server_.send("GET", "/metrics", "ops").body;
  ASSERT_NO_FATAL_FAILURE(
      expect(expected_metrics(oracle_), samples(text, {"model", "tenant"}), "/metrics: "));
  Figures totals, of_tenants, of_surfaces;
  for (const auto& [name, value] : expected_metrics(oracle_)) totals[name.substr(0, name.find(' '))] += value;
  const Figures of_all = expected_of_operator(oracle_);
  totals["permutation_response_cache_entries"] = of_all.at("/entries");
  totals["permutation_response_cache_ram_entries"] = of_all.at("/ram/entries");
  ASSERT_NO_FATAL_FAILURE(expect(totals, samples(text, {}), "/metrics, summed: "));
  for (const auto& [tenant, of] : oracle_.answers) {
    for (const auto& [status, count] : of.by_status)
      of_tenants["permutation_completions_total " + tenant + " " + status] = static_cast<double>(count);
    for (const auto& [status, count] : of.tokens_by_status)
      of_tenants["permutation_completion_tokens_total " + tenant + " " + status] = static_cast<double>(count);
  }
  ASSERT_NO_FATAL_FAILURE(expect(of_tenants, samples(text, {"tenant", "cache"}), "/metrics, by tenant: "));
  Figures audited, wanted;
  flatten(server_.get("/v1/audit", "ops")["caches"][0]["used_in"], "", audited);
  for (const char* surface : {"completions", "permutation"}) {
    const auto uses = oracle_.cache_uses.find(surface);
    const Uses of = uses == oracle_.cache_uses.end() ? Uses{} : uses->second;
    wanted[std::string("/") + surface + "/count"] = static_cast<double>(of.count);
    of_surfaces[std::string("permutation_cache_uses_total response cache ") + surface] =
        static_cast<double>(of.count);
    of_surfaces[std::string("permutation_cache_use_tokens_total response cache ") + surface] =
        static_cast<double>(of.tokens);
    const auto facts = oracle_.facts_recalled.find(surface);
    of_surfaces[std::string("permutation_cache_uses_total knowledge cache ") + surface] =
        facts == oracle_.facts_recalled.end() ? 0 : static_cast<double>(facts->second);
  }
  ASSERT_NO_FATAL_FAILURE(expect(wanted, audited, "/v1/audit: "));
  ASSERT_NO_FATAL_FAILURE(expect(of_surfaces, samples(text, {"cache", "surface"}), "/metrics, by surface: "));
}

/// What the page says beside each answer.
void Player::compare_hits(std::int64_t live) {
  std::int64_t listed = 0;
  for (int page = 0; listed < live; ++page) {
    const json items =
        server_.get("/v1/dashboard/items?kind=cache&page=" + std::to_string(page), "ops")["items"];
    ASSERT_FALSE(items.empty()) << last_;
    listed += static_cast<std::int64_t>(items.size());
    for (const json& item : items) {
      const std::string key = oracle_.key_of_digest(item["key"]);
      if (key.empty()) continue;  // of an engine's call whose digest nobody was told
      const Entry& entry = oracle_.entries.at(key);
      ASSERT_EQ(item["hits"], entry.in_ram ? json(entry.hits) : json()) << key << "; last: " << last_;
      if (!entry.in_ram) continue;
      ASSERT_NEAR(item["usd_saved"], static_cast<double>(entry.hits) * entry.usd, 1e-9) << last_;
      ASSERT_EQ(item["tokens_saved"], entry.hits * entry.tokens) << last_;
    }
  }
}

/// The operator's lists have all tenants'.
void Player::compare_lists() {
  std::int64_t live = 0;
  for (const auto& [key, entry] : oracle_.entries) live += entry.live(oracle_.now) ? 1 : 0;
  ASSERT_EQ(server_.get("/v1/dashboard/items?kind=cache", "ops")["total"], live) << last_;
  ASSERT_NO_FATAL_FAILURE(compare_hits(live));
  std::map<std::string, std::size_t> wanted, got;
  for (const auto& [tenant, things] : oracle_.taught) wanted[tenant] = things.size();
  const json knowledge = server_.get("/v1/knowledge", "ops");
  for (const json& domain : knowledge["domains"]) got[domain["tenant"]] = domain["facts"];
  ASSERT_EQ(got, wanted) << last_;
  for (const auto& [tenant, facts] : wanted)
    ASSERT_EQ(server_.get("/v1/knowledge/acme?tenant=" + tenant, "ops")["facts"].size(), facts) << last_;
}

TEST(Counters, AreWhatTheActsAloneSay) {
  const std::uint64_t seed = from_environment("COUNTERS_SEED", 1),
                      acts = from_environment("COUNTERS_ACTS", 10'000);
  Server server((std::filesystem::temp_directory_path() / fmt::format("pmt-counters-{}", getpid())).string());
  Player player(server, seed);
  for (std::uint64_t i = 0; i < acts; ++i) {
    player.act();
    if (!testing::Test::HasFailure() && i % 25 == 0) player.compare();
    ASSERT_FALSE(testing::Test::HasFailure()) << "seed " << seed << ", act " << i << ": " << player.last();
  }
  player.compare();
}

}  // namespace
}  // namespace pmt::app::counted
