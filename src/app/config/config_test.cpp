#include "app/config/config.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "response_cache/store/eviction_policy.h"

namespace pmt::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string error_of(std::string_view toml) {
  const auto config = parse_config(toml, "c.toml");
  return config ? "no error" : config.error().message;
}

TEST(Config, AnEmptyFileIsTheDefaults) {
  const auto config = parse_config("", "c.toml");
  ASSERT_TRUE(config);
  EXPECT_EQ(config->server.host, "127.0.0.1");
  EXPECT_EQ(config->server.port, 8080);
  EXPECT_TRUE(config->models.empty());
  EXPECT_TRUE(config->cache_enabled);
}

TEST(Config, TakesEveryEvictionPolicyThatThereIs) {
  for (const auto policy : response_cache::eviction_policies()) {
    const std::string name = to_string(policy);
    const auto config = parse_config("[cache]\neviction = \"" + name + "\"", "c.toml");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->cache.eviction, policy) << name;
    EXPECT_THAT(error_of("[cache]\neviction = \"oldest\""), HasSubstr('"' + name + '"'));
  }
}

TEST(Config, ModelsMayComeOnDemand) {
  const auto config = parse_config(R"(
[[model]]
path = "/a.gguf"
load = "first_use"
[[model]]
path = "/b.gguf"
[models]
dir = "/models"
memory_bytes = 1000000
idle_s = 0.5
kv_bytes = 4096
threads = 3
)",
                                   "c.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->models[0].load, LoadWhen::kFirstUse);
  EXPECT_EQ(config->models[1].load, LoadWhen::kStart);
  EXPECT_EQ(config->on_demand.dir, "/models");
  EXPECT_EQ(config->on_demand.memory_bytes, 1'000'000);
  EXPECT_EQ(config->on_demand.idle_s, 0.5);
  EXPECT_EQ(config->on_demand.each.kv_bytes, 4096U);
  EXPECT_EQ(config->on_demand.each.threads, 3);
  EXPECT_THAT(error_of("[[model]]\npath = \"a\"\nload = \"later\""), HasSubstr("\"first_use\""));
  EXPECT_THAT(error_of("[models]\nidle_s = -1"), HasSubstr("idle_s"));
  EXPECT_THAT(error_of("[models]\nname = \"x\""), HasSubstr("name"));
}

TEST(Config, ReadsEveryTable) {
  const auto config = parse_config(R"(
[server]
host = "::1"
port = 0
threads = 2
body_bytes_max = 1000
stop_grace_ms = 10
[[model]]
name = "a"
path = "/a.gguf"
threads = 3
kv_bytes = 4096
[[model]]
path = "/b.gguf"
[cache]
enabled = false
entries_max = 7
bytes_max = 8
[prices."a"]
input_per_mtok = 1
output_per_mtok = 2.5
)",
                                   "c.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server.host, "::1");
  EXPECT_EQ(config->server.port, 0);
  EXPECT_EQ(config->server.threads, 2);
  EXPECT_EQ(config->server.body_bytes_max, 1000U);
  EXPECT_EQ(config->stop_grace_ms, 10);
  ASSERT_EQ(config->models.size(), 2U);
  EXPECT_EQ(config->models[0].threads, 3);
  EXPECT_EQ(config->models[0].kv_bytes, 4096U);
  EXPECT_EQ(config->models[1].path, "/b.gguf");
  EXPECT_FALSE(config->cache_enabled);
  EXPECT_EQ(config->cache.entries_max, 7U);
  EXPECT_DOUBLE_EQ(config->prices.at("a").input_per_mtok, 1.0);
  EXPECT_DOUBLE_EQ(config->prices.at("a").output_per_mtok, 2.5);
}

TEST(Config, AllowedHostsAreNamesAndAddresses) {
  const auto config =
      parse_config("[server]\nallowed_hosts = [\"Chat.example.org\", \"*.lan\", \"::1\"]", "c.toml");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->service.allowed_hosts.size(), 3U);
  EXPECT_TRUE(config->service.allowed_hosts[0].matches(net::parse_host("chat.example.org").value()));
  EXPECT_THAT(error_of("[server]\nallowed_hosts = \"x\""), HasSubstr("list of texts"));
  EXPECT_THAT(error_of("[server]\nallowed_hosts = [\"http://x\"]"),
              AllOf(HasSubstr("c.toml"), HasSubstr("http://x")));
  EXPECT_THAT(error_of("[server]\nallowed_hosts = [\"*\"]"), HasSubstr("[[key]]"));
}

TEST(Config, AnUnknownKeySuggestsTheNearest) {
  EXPECT_THAT(error_of("[server]\nprot = 1"), AllOf(HasSubstr("c.toml:2"), HasSubstr("\"prot\" in [server]"),
                                                    HasSubstr("did you mean \"port\"?")));
  EXPECT_THAT(error_of("[sever]\nport = 1"), HasSubstr("did you mean \"server\"?"));
  EXPECT_THAT(error_of("[cache]\nzzzzzzzzzz = 1"), HasSubstr("known: enabled, entries_max, bytes_max"));
  EXPECT_THAT(error_of("[prices.\"m\"]\ninput_per_mtoks = 1"), HasSubstr("did you mean \"input_per_mtok\"?"));
}

TEST(Config, AWrongTypeNamesTheKeyTheLineAndWhatIsWanted) {
  EXPECT_THAT(error_of("\n[server]\nport = \"80\""),
              AllOf(HasSubstr("c.toml:3"), HasSubstr("[server] port"),
                    HasSubstr("an integer from 0 to 65535"), HasSubstr("not text")));
  EXPECT_THAT(error_of("[server]\nport = 1.5"), HasSubstr("not a number"));
  EXPECT_THAT(error_of("[cache]\nenabled = 1"), HasSubstr("must be true or false"));
  EXPECT_THAT(error_of("[model]\nname = \"a\""), HasSubstr("[[model]]"));
  EXPECT_THAT(error_of("[prices.\"m\"]\ninput_per_mtok = -1"), HasSubstr("at least 0"));
}

TEST(Config, AnIntegerOutOfRangeSaysItsRange) {
  EXPECT_THAT(error_of("[server]\nport = 65536"), AllOf(HasSubstr("65536"), HasSubstr("from 0 to 65535")));
  EXPECT_THAT(error_of("[cache]\nbytes_max = 0"), HasSubstr("at least 1"));
}

TEST(Config, AModelNeedsANameOrAPath) {
  EXPECT_THAT(error_of("[[model]]\nthreads = 1"), HasSubstr("a path"));
}

TEST(Config, BrokenTomlNamesTheLine) {
  EXPECT_THAT(error_of("a = 1\nb = = 2"), HasSubstr("c.toml:2"));
}

TEST(Config, AMissingFileIsAnIoError) {
  const auto config = load_config("no/such/file.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, base::Code::kNotFound);
  EXPECT_THAT(config.error().message, HasSubstr("no/such/file.toml"));
}

TEST(Config, AFolderOrAnotherEncodingIsNoConfig) {
  EXPECT_THAT(load_config(::testing::TempDir()).error().message, HasSubstr("a folder"));
  EXPECT_FALSE(load_config("/dev/null"));
  EXPECT_FALSE(load_config(""));
  const auto file = std::filesystem::path(::testing::TempDir()) / "pmt_config_utf16.toml";
  std::ofstream(file) << std::string("\xff\xfe[\0s\0e\0", 8);
  EXPECT_THAT(load_config(file).error().message, HasSubstr("UTF-8"));
  std::ofstream(file) << "\xef\xbb\xbf[server]\nport = 9\n";
  EXPECT_EQ(load_config(file)->server.port, 9);
  std::filesystem::remove(file);
}

TEST(Config, LoadsAFile) {
  const auto file = std::filesystem::path(::testing::TempDir()) / "pmt_config_test.toml";
  std::ofstream(file) << "[server]\nport = 9\n";
  const auto config = load_config(file);
  std::filesystem::remove(file);
  ASSERT_TRUE(config);
  EXPECT_EQ(config->server.port, 9);
}

std::string example() {
  std::ifstream in(PMT_SOURCE_DIR "/examples/permutation.toml");
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TEST(Config, TheExampleIsTakenAsItIsAndWithItsCommentsTakenAway) {
  const auto config = parse_config(example(), "examples/permutation.toml");
  ASSERT_TRUE(config) << config.error().message;
  const Config plain;
  EXPECT_EQ(config->server.port, plain.server.port);
  EXPECT_EQ(config->server.body_bytes_max, plain.server.body_bytes_max);
  EXPECT_EQ(config->cache.bytes_max, plain.cache.bytes_max);
  EXPECT_EQ(config->models.at(0).kv_bytes, ModelConfig{}.kv_bytes);
  EXPECT_EQ(config->service.request_log.slow_ms, plain.service.request_log.slow_ms);
  std::string all = example();  // "# key = value" is an option without a default
  for (std::size_t at = 0; (at = all.find("\n# ", at)) != std::string::npos; ++at) {
    const std::string line = all.substr(at + 3, all.find('\n', at + 1) - at - 3);
    if (line.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") == line.find(" = ")) all.erase(at + 1, 2);
  }
  const auto uncommented = parse_config(all, "examples/permutation.toml");
  ASSERT_TRUE(uncommented) << uncommented.error().message;
  EXPECT_EQ(uncommented->service.tls_key, "key.pem");
}

TEST(Config, TheExampleNamesEveryOption) {
  const std::string text = example();
  for (const char* table : {"[server]", "[models]", "[[model]]", "[[key]]", "[cache]", "[cache.shared]",
                            "[log]", "[telemetry]", "[dashboard]", "[embeddings]", "[rlm]", "[unified]",
                            "[[upstream]]", "[permutation]", "[prices.\"m\"]"}) {
    const std::string error = error_of(std::string(table) + "\nzzzzzzzzzzzzzzz = 1");
    const std::size_t known = error.find("known: ");
    ASSERT_NE(known, std::string::npos) << table << ": " << error;
    std::istringstream names(error.substr(known + 7));
    for (std::string name; std::getline(names >> std::ws, name, ',');)
      EXPECT_THAT(text, ::testing::AnyOf(HasSubstr("\n" + name + " = "), HasSubstr("\n# " + name + " = "),
                                         HasSubstr("\n#   " + name + " = "),
                                         HasSubstr("." + name + "]\n")))  // a table of its own
          << table;
  }
}

TEST(Config, KeysAreReadAndMistakesInThemNamed) {
  const std::string hash(64, 'a');
  const auto config =
      parse_config("[[key]]\nname = \"ann\"\nsha256 = \"" + hash +
                       "\"\ntenant = \"t\"\nscopes = [\"cache\", \"admin\"]\nrequests_per_minute = 5\n"
                       "budget_usd_per_day = 0.5",
                   "c.toml");
  ASSERT_TRUE(config) << config.error().message;
  const api::KeyOptions& key = config->service.keys.at(0);
  EXPECT_EQ(key.sha256.hex(), hash);
  EXPECT_EQ(key.scopes, (std::vector<api::Scope>{api::Scope::kCache, api::Scope::kAdmin}));
  EXPECT_EQ(key.requests_per_minute, 5);
  EXPECT_EQ(key.budget_usd_per_day, 0.5);
  EXPECT_THAT(error_of("[[key]]\nname = \"a\"\nkey = \"pmt-secret\""), HasSubstr("unknown key \"key\""));
  EXPECT_THAT(error_of("[[key]]\nsha256 = \"" + hash + "\""), HasSubstr("needs a name"));
  const std::string one = "[[key]]\nname = \"a\"\nsha256 = \"" + hash + "\"\n";
  EXPECT_THAT(error_of(one + one), HasSubstr("two [[key]]"));
  EXPECT_THAT(error_of("[server]\ntls_certificate = \"a\""), HasSubstr("go together"));
}

TEST(Config, LoopbackIsThisMachineOnly) {
  for (const char* host : {"localhost", "127.0.0.1", "127.1.2.3", "::1"})
    EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host :
       {"0.0.0.0", "::", "192.168.1.2", "example.org", "128.0.0.1", "", "127.0.0.1.example.org"}) {
    EXPECT_FALSE(is_loopback(host)) << host;
  }
}

TEST(Config, ReadsUpstreams) {
  const auto config = parse_config(R"(
[[upstream]]
name = "sonar"
base_url = "https://api.example/v1/"
api_key_env = "NO_SUCH_VARIABLE_HERE"
models = { fast = "sonar-small" }
prompt_cache_key = true
prompt_cache_key_requests = 20
prompt_cache_key_seconds = 30.5
retries = 0
fallbacks = ["other/x"]
cooldown_s = 5
[[upstream]]
name = "other"
base_url = "http://127.0.0.1:9"
models = ["x"]
api = "messages"
max_tokens_unset = 4096
[[upstream]]
name = "third"
base_url = "http://127.0.0.1:9"
models = ["x"]
api = "responses"
)",
                                   "f.toml");
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_EQ(config->upstreams.size(), 3U);
  const UpstreamConfig& sonar = config->upstreams[0];
  EXPECT_EQ(sonar.models.at("fast"), "sonar-small");
  EXPECT_TRUE(sonar.remote.base_url.tls);
  EXPECT_EQ(sonar.remote.base_url.path, "/v1");
  EXPECT_TRUE(sonar.prompt_cache.key);
  EXPECT_EQ(sonar.prompt_cache.key_requests, 20);
  EXPECT_EQ(sonar.prompt_cache.key_seconds, 30.5);
  EXPECT_FALSE(sonar.prompt_cache.breakpoints);
  EXPECT_FALSE(config->upstreams[1].prompt_cache.any()) << "off unless asked";
  EXPECT_EQ(sonar.remote.retries.attempts_more, 0);
  EXPECT_EQ(sonar.remote.cooldown.cooldown_s, 5);
  EXPECT_EQ(sonar.fallbacks, std::vector<std::string>{"other/x"});
  const auto without_key = remote_options(sonar, "fast");
  ASSERT_FALSE(without_key);
  EXPECT_NE(without_key.error().message.find("NO_SUCH_VARIABLE_HERE"), std::string::npos);
  const auto plain = remote_options(config->upstreams[1], "x");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->name, "other/x");
  EXPECT_EQ(plain->api, llm::Api::kMessages);
  EXPECT_EQ(plain->max_tokens_unset, 4096);
  EXPECT_EQ(sonar.remote.api, llm::Api::kChat) << "unless something else is said";
  EXPECT_EQ(config->upstreams[2].remote.api, llm::Api::kResponses);
}

TEST(Config, ReadsSeveralServersBehindOneName) {
  const std::string name = "[[upstream]]\nname = \"a\"\nmodels = [\"x\"]\n";
  const auto config = parse_config(name + R"(base_urls = ["http://h:1/v1/", "https://h:2/v1"]
balance = "least_busy"
probe_interval_s = 1
)",
                                   "f.toml");
  ASSERT_TRUE(config) << config.error().message;
  const UpstreamConfig& upstream = config->upstreams[0];
  ASSERT_EQ(upstream.base_urls.size(), 2U);
  EXPECT_EQ(upstream.base_urls[0].text, "http://h:1/v1/");
  EXPECT_EQ(upstream.base_urls[0].url.path, "/v1");
  EXPECT_TRUE(upstream.base_urls[1].url.tls);
  EXPECT_EQ(upstream.balance, upstream::Balance::kLeastBusy);
  EXPECT_EQ(upstream.probe_interval_s, 1);
  EXPECT_EQ(upstream.where(), "2 servers");
  const auto by_default = parse_config(name + "base_urls = [\"http://h\"]\n", "f.toml");
  ASSERT_TRUE(by_default);
  EXPECT_EQ(by_default->upstreams[0].balance, upstream::Balance::kPrefix);

  const std::pair<std::string, const char*> wrong[] = {
      {"base_url = \"http://h\"\nbase_urls = [\"http://i\"]", "keep base_url for one server, or base_urls"},
      {"base_url = \"http://h\"\nbalance = \"prefix\"", "has balance without base_urls"},
      {"base_url = \"http://h\"\nprobe_interval_s = 1", "has probe_interval_s without base_urls"},
      {"base_urls = []", "has 0 base_urls: name 1 to 64 servers"},
      {"base_urls = [\"ftp://h\"]", "base_urls: "},
      {"base_urls = [\"http://h/v1\", \"http://h/v1/\"]", "names http://h/v1/ twice in base_urls"},
      {"base_urls = \"http://h\"", "a list of texts"},
      {"base_urls = [\"http://h\"]\nbalance = \"random\"", "one of \"prefix\", \"least_busy\""},
      {"base_urls = [\"http://h\"]\nprobe_interval_s = 0", "probe_interval_s"}};
  for (const auto& [text, wanted] : wrong) {
    const auto refused = parse_config(name + text, "f.toml");
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().message.find(wanted), std::string::npos) << refused.error().message;
  }
}

TEST(Config, AModelsRuntimeAndTheTypeOfItsCellsAreWords) {
  const auto config = parse_config(
      "[[model]]\npath = \"a.gguf\"\n"
      "[[model]]\npath = \"b.gguf\"\nruntime = \"libllama\"\nkv_type = \"q8_0\"",
      "c.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->models[0].runtime, inference::RuntimeChoice::kAuto);
  EXPECT_EQ(config->models[0].kv_type, inference::CellType::kF16);
  EXPECT_EQ(config->models[1].runtime, inference::RuntimeChoice::kLibllama);
  EXPECT_EQ(config->models[1].kv_type, inference::CellType::kQ8_0);
  EXPECT_THAT(error_of("[[model]]\npath = \"a.gguf\"\nruntime = \"mine\""),
              AllOf(HasSubstr("runtime"), HasSubstr("\"auto\", \"own\", \"libllama\"")));
  EXPECT_THAT(error_of("[[model]]\npath = \"a.gguf\"\nkv_type = \"q2\""),
              AllOf(HasSubstr("kv_type"), HasSubstr("\"f16\", \"q8_0\", \"q4_0\"")));
}

TEST(Config, ReadsThePricesOfProvidersCaches) {
  const auto config = parse_config(
      "[prices.\"a\"]\ninput_per_mtok = 3\ncached_input_per_mtok = 0\ncache_write_per_mtok = 3.75\n"
      "[prices.\"b\"]\nreasoning_output_per_mtok = 2",
      "c.toml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->prices.at("a").cached_input_per_mtok, 0);
  EXPECT_EQ(config->prices.at("a").cache_write_per_mtok, 3.75);
  EXPECT_EQ(config->prices.at("a").reasoning_output_per_mtok, std::nullopt);
  EXPECT_EQ(config->prices.at("b").cached_input_per_mtok, std::nullopt);
  EXPECT_EQ(config->prices.at("b").reasoning_output_per_mtok, 2);
  EXPECT_THAT(error_of("[prices.\"a\"]\ncached_input_per_mtok = -1"),
              AllOf(HasSubstr("cached_input_per_mtok"), HasSubstr("at least 0")));
}

TEST(Config, AnUpstreamThatCantBeIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"base_url = \"http://h\"\nmodels = [\"x\"]", "needs a name"},
      {"name = \"a/b\"\nbase_url = \"http://h\"\nmodels = [\"x\"]", "needs a name"},
      {"name = \"a\"\nmodels = [\"x\"]", "base_url"},
      {"name = \"a\"\nbase_url = \"ftp://h\"\nmodels = [\"x\"]", "must begin with http"},
      {"name = \"a\"\nbase_url = \"http://h\"", "needs models"},
      {"name = \"a\"\nbase_url = \"http://h\"\nmodels = [1]", "models must be names"},
      {"name = \"a\"\nbase_url = \"http://h\"\nmodels = [\"x\"]\nretrys = 1", "did you mean \"retries\""},
      {"name = \"a\"\nbase_url = \"http://h\"\nmodels = [\"x\"]\napi = \"message\"",
       "api = \"message\": it must be \"chat\", \"messages\" or \"responses\""},
      {"name = \"a\"\nbase_url = \"http://h\"\nmodels = [\"x\"]\nfallbacks = \"b\"", "a list of texts"}};
  for (const auto& [text, wanted] : cases) {
    const auto config = parse_config(std::string("[[upstream]]\n") + text, "f.toml");
    ASSERT_FALSE(config) << text;
    EXPECT_NE(config.error().message.find(wanted), std::string::npos) << config.error().message;
  }
}

TEST(Config, AnUpstreamsNameStandsOnceAmongModelsAndEmbeddings) {
  const std::string one = "[[upstream]]\nname = \"a\"\nbase_url = \"http://h\"\n";
  const std::string models = "models = [\"x\"]\n", embeddings = "embeddings = [\"x\"]\n";
  struct Case {
    std::string text, wanted;
  };
  const Case cases[] = {
      {one + models + one + embeddings,
       "f.toml:5: [[upstream]] a: a/x stands in its embeddings and in the models"},
      {one + embeddings + one + models,
       "f.toml:5: [[upstream]] a: a/x stands in its models and in the embeddings"},
      {one + models + one + models, "f.toml:5: [[upstream]] a: a/x stands in its models and in the models"},
      {one + embeddings + one + embeddings, "and in the embeddings of the [[upstream]] of line 1"},
      {one + models + embeddings, "f.toml:1: [[upstream]] a: a/x stands in its embeddings and in the models"},
  };
  for (const Case& of : cases) {
    const auto config = parse_config(of.text, "f.toml");
    ASSERT_FALSE(config) << of.text;
    EXPECT_NE(config.error().message.find(of.wanted), std::string::npos) << config.error().message;
  }
  EXPECT_TRUE(parse_config(one + models + "embeddings = [\"y\"]\n", "f.toml"));
}

}  // namespace
}  // namespace pmt::app
