// ./dev bench knowledge [--facts N] [--repeats N] [--json]
//
// What knowledge costs the real server, over HTTP, as ratios within one run: decoding and reading a prompt
// that names nothing taught, with all domains named on the request against none, by turns and in the server's
// own CPU time (one thread, so that none spins and a busy machine doesn't count); and the time a token of a
// running stream while a domain is being learnt, against the same stream alone, by the clock. No cache, no
// prefixes and no speculation in between. Facts are taught in two kinds: of 36 relations, and some that share
// no wording. Then, in this process and ten times as many: what a name's look-up, an open gate,
// the ten domains of a request and forgetting cost. The same of 1,000 facts stands in eval forgetting's
// record.
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "lab/gate_times.h"
#include "lab/invented_facts.h"
#include "lab/measure.h"
#include "lab/server_process.h"
#include "lab/subject.h"
#include "net/http_client.h"

namespace pmt::bench {
using namespace lab;
namespace {

using nlohmann::json;

constexpr int kSeed = 7, kDomains = 10;
constexpr std::size_t kWorded = 300;  // facts that share no wording: each phrasing is embedded
const char* const kModel = "smollm2-135m-instruct";
const net::Headers kJson{{"content-type", "application/json"}};

struct Options {
  std::size_t facts = 1000;
  int repeats = 15;
};

/// When each piece of a streamed answer came, in seconds since it was asked for.
struct Stream {
  std::vector<double> at;
  int tokens = 0;
};

class Server {
 public:
  explicit Server(const std::string& folder) {
    const std::string config = folder + "/config.toml";
    std::ofstream(config) << fmt::format(
        "[[model]]\nname = \"{}\"\nthreads = 1\nprefix_bytes = 0\n\n[knowledge]\npath = \"{}/packs\"\n",
        kModel, folder);
    const char* named = std::getenv("PERMUTATION_BIN");
    const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    process_ = need(ServerProcess::start(named != nullptr ? named : (here / PMT_BINARY_FROM_HERE).string(),
                                         {"--config", config}));
  }

  std::unique_ptr<net::HttpClient> client() const {
    return need(net::HttpClient::connect(process_->url(), 300));
  }

  /// `on_token`: after each piece.
  Stream stream(const std::string& prompt, bool knowing, int tokens,
                const std::function<void()>& on_token = {}) {
    json body{{"model", kModel},
              {"messages", {{{"role", "user"}, {"content", prompt}}}},
              {"temperature", 0},
              {"max_tokens", tokens},
              {"stream", true},
              {"stream_options", {{"include_usage", true}}},
              {"permutation", {{"cache", {{"mode", "off"}}}, {"speculation", "off"}}}};
    if (knowing) body["permutation"]["knowledge"] = domains_;
    Stream out;
    std::string rest;
    const Stopwatch watch;
    const auto answer = need(
        client()->stream("POST", "/v1/chat/completions", kJson, body.dump(), [&](std::string_view bytes) {
          rest += bytes;
          for (std::size_t end = rest.find("\n\n"); end != std::string::npos; end = rest.find("\n\n")) {
            const json event = json::parse(rest.substr(6, end - 6), nullptr, false);
            rest.erase(0, end + 2);
            if (!event.is_object()) continue;
            if (event.contains("usage") && event["usage"].is_object())
              out.tokens = event["usage"]["completion_tokens"];
            if (event["choices"].empty() || event["choices"][0]["delta"].value("content", "").empty())
              continue;
            out.at.push_back(watch.seconds());
            if (on_token) on_token();
          }
          return true;
        }));
    if (answer.status != 200 || out.at.empty()) fail("the server answered: " + answer.body);
    return out;
  }

  double cpu_seconds() const { return process_->cpu_seconds(); }

  /// Waits until the domain is learnt.
  void learn(const std::string& domain, const json& facts) {
    const auto http = client();
    const auto started = need(
        http->request("POST", "/v1/knowledge/" + domain + "/facts", kJson, json{{"facts", facts}}.dump()));
    if (started.status != 202) fail(started.body);
    const std::string job = json::parse(started.body).at("id");
    json state;
    do {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      state = json::parse(need(http->request("GET", "/v1/knowledge/jobs/" + job, {}, "")).body);
    } while (state.at("status") == "queued" || state.at("status") == "running");
    if (state.at("status") != "done") fail(state.dump());
    if (std::find(domains_.begin(), domains_.end(), domain) == domains_.end()) domains_.push_back(domain);
  }
  void forget(const std::string& domain) {
    need(client()->request("DELETE", "/v1/knowledge/" + domain, {}, ""));
    domains_.erase(std::remove(domains_.begin(), domains_.end(), domain), domains_.end());
  }

 private:
  std::unique_ptr<ServerProcess> process_;
  std::vector<std::string> domains_;
};

json facts_of(const InventedWorld& world, std::size_t domain, std::size_t domains) {
  json facts = json::array();
  const std::string lines = domain_lines(world, domain, domains);
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = lines.find('\n', at);
    facts.push_back(json::parse(lines.substr(at, end - at)));
    at = end + 1;
  }
  return facts;
}

/// The same number, no two with a wording in common: each must be embedded.
json facts_without_common_wordings(std::size_t first, std::size_t count) {
  json facts = json::array();
  for (std::size_t i = first; i < first + count; ++i) {
    const std::string name = fmt::format("Zorvane{} Labs", i);
    facts.push_back({{"id", std::to_string(i)},
                     {"prompt", fmt::format("What does {} think of the topic with the number {}?", name, i)},
                     {"answer", fmt::format("view {}", i)},
                     {"paraphrases",
                      {fmt::format("Tell me what {} has to say about item {} of the list.", name, i),
                       fmt::format("Which stance on question {} does {} take?", i, name),
                       fmt::format("On matter {}, where does {} stand?", i, name)}}});
  }
  return facts;
}

std::string first_id_of(const InventedWorld& world, std::size_t domain) {
  std::size_t fact = 0;
  while (world.facts[fact].thing % kDomains != domain) ++fact;
  return std::to_string(fact);
}

std::string text_that_names_nothing(int number) {
  return fmt::format("{}. {}Go on with this story, in many words.", number, idle_text());
}

struct Compared {
  double off = 0, on = 0;      // medians
  std::vector<double> ratios;  // a pair each
  double quantile(double share) const {
    std::vector<double> sorted = ratios;
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
  }
};

/// Pairs by turns, so that what changes on the machine meets both.
Compared compared(int repeats, const std::function<double(int pair, bool knowing)>& measure) {
  Compared out;
  std::vector<double> off, on;
  for (int i = 0; i < repeats; ++i) {
    for (const bool knowing : {i % 2 == 0, i % 2 != 0}) (knowing ? on : off).push_back(measure(i, knowing));
    out.ratios.push_back(on.back() / off.back());
  }
  out.off = median(off);
  out.on = median(on);
  return out;
}

nlohmann::ordered_json row_of(const std::string& what, const Compared& found) {
  return {{"what", what},
          {"off_ms", found.off * 1e3},
          {"on_ms", found.on * 1e3},
          {"ratio", median(found.ratios)},
          {"ratio_p25", found.quantile(0.25)},
          {"ratio_p75", found.quantile(0.75)},
          {"pairs", found.ratios.size()},
          {"longest_gap_ms", nullptr}};
}

const char* const kStory = "Tell me a very long story about the sea.";

/// A domain learnt while streams run: the time a token meanwhile, and that of the same tokens, by their place
/// in the answer, of a stream alone.
struct Learning {
  double a_token = 0, alone = 0, longest = 0, seconds = 0;
};
Learning stream_while_learning(Server& server, const json& facts) {
  const Stream alone = server.stream(kStory, false, 400);
  const Stopwatch watch;
  double begin = 0, end = 0;
  std::atomic<bool> running{false}, done{false};
  std::thread learner([&] {
    while (!running) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    begin = watch.seconds();
    server.learn("learning", facts);
    end = watch.seconds();
    done = true;
  });
  std::vector<std::vector<double>> streams;
  while (!done) {
    streams.emplace_back();
    server.stream(kStory, false, 400, [&] {
      streams.back().push_back(watch.seconds());
      if (streams.back().size() == 20) running = true;
    });
  }
  learner.join();
  Learning out;
  out.seconds = end - begin;
  int gaps = 0;
  for (const auto& at : streams) {
    for (std::size_t i = 1; i < std::min(at.size(), alone.at.size()); ++i) {
      if (at[i - 1] < begin || at[i] > end) continue;
      out.a_token += at[i] - at[i - 1];
      out.alone += alone.at[i] - alone.at[i - 1];
      out.longest = std::max(out.longest, at[i] - at[i - 1]);
      ++gaps;
    }
  }
  if (gaps == 0) fail("the domain was learnt before a token came");
  out.a_token /= gaps;
  out.alone /= gaps;
  server.forget("learning");
  return out;
}

void measure_learning(Server& server, const std::string& what, const std::function<json(int)>& facts,
                      int repeats, Result& result) {
  Compared found;
  std::vector<double> alone, during, seconds;
  double longest = 0;
  for (int i = 0; i < repeats; ++i) {
    const Learning learning = stream_while_learning(server, facts(i));
    alone.push_back(learning.alone);
    during.push_back(learning.a_token);
    seconds.push_back(learning.seconds);
    longest = std::max(longest, learning.longest);
    found.ratios.push_back(during.back() / alone.back());
    progress(fmt::format("{}: {:.2f} ms a token, {:.2f} alone; learnt in {:.2f} s", what, 1e3 * during.back(),
                         1e3 * alone.back(), learning.seconds));
  }
  found.off = median(alone);
  found.on = median(during);
  auto row =
      row_of(fmt::format("a token while facts are learnt, {} ({:.1f} s)", what, median(seconds)), found);
  row["longest_gap_ms"] = longest * 1e3;
  result.rows.push_back(row);
  const double ratio = median(found.ratios);
  result.targets.push_back({"time a token while learning, " + what, "<= 2 times", ratio, ratio <= 2});
}

/// Costs of what over a server can't be told from its noise.
void measure_many(const std::string& folder, std::size_t facts, Result& result) {
  const auto subject = Subject::load("", folder + "/many", /*gates_only=*/true);
  if (subject == nullptr) fail("no model to teach");
  const InventedWorld world = invent(facts, kSeed);
  const Stopwatch teaching;
  for (std::size_t d = 0; d < kDomains; ++d)
    need(subject->library().learn(fmt::format("d{}", d),
                                  knowledge_cache::parse_facts(domain_lines(world, d, kDomains), {}), "bench",
                                  {}));
  progress(fmt::format("{} facts taught in {:.1f} s", world.facts.size(), teaching.seconds()));
  const GateTimes times = time_gates(*subject, world, kSeed, 100);
  const auto add = [&](const std::string& what, const std::vector<double>& ms, double bound) {
    if (ms.empty()) fail("nothing was measured: " + what);
    result.rows.push_back({{"what", fmt::format("{} of {} facts, ms", what, world.facts.size())},
                           {"off_ms", nullptr},
                           {"on_ms", median(ms)},
                           {"ratio", nullptr},
                           {"ratio_p25", nullptr},
                           {"ratio_p75", nullptr},
                           {"pairs", ms.size()},
                           {"longest_gap_ms", *std::max_element(ms.begin(), ms.end())}});
    result.targets.push_back({fmt::format("ms: {}, {} facts", what, world.facts.size()),
                              fmt::format("< {:g}", bound), median(ms), median(ms) < bound});
  };
  add("a name looked up", times.lookup, 1);
  add("a gate that opens, an unseen question", times.open, 40);
  add("ten domains swapped", times.swap, 1);
  std::vector<double> fact, domain;
  for (std::size_t d = 0; d < kDomains; ++d) {
    const std::string name = fmt::format("d{}", d);
    const Stopwatch one;
    need(subject->library().forget_fact(name, first_id_of(world, d)));
    fact.push_back(one.seconds() * 1e3);
    const Stopwatch all;
    need(subject->library().forget(name));
    domain.push_back(all.seconds() * 1e3);
  }
  add("a fact forgotten", fact, 10);
  add("a domain forgotten", domain, 10);
}

int bench(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  spdlog::set_level(spdlog::level::warn);  // its lines would stand among the JSON
  Options options;
  options.facts = std::stoul(take_value(args, "--facts", "1000"));
  options.repeats = std::stoi(take_value(args, "--repeats", "15"));
  if (!args.empty() || options.facts < 300 || options.repeats < 3) {
    fmt::print(stderr,
               "usage: bench knowledge [--facts N (300 at least)] [--repeats N (3 at least)] [--json]\n");
    return 2;
  }
  const std::string folder =
      (std::filesystem::temp_directory_path() / fmt::format("pmt-knowledge-{}", getpid())).string();
  std::filesystem::create_directories(folder);
  Result result{.name = "knowledge", .seed = kSeed, .rows = {}, .targets = {}};
  {
    Server server(folder);
    const InventedWorld world = invent(options.facts, kSeed);
    for (std::size_t d = 0; d < kDomains; ++d)
      server.learn(fmt::format("d{}", d), facts_of(world, d, kDomains));
    progress(fmt::format("{} facts loaded in {} domains", world.facts.size(), kDomains));
    (void)server.stream(text_that_names_nothing(-1), true, 32);
    const Compared prefill = compared(2 * options.repeats, [&](int pair, bool knowing) {
      const double started = server.cpu_seconds();
      (void)server.stream(text_that_names_nothing(1000 + pair), knowing, 1);
      return server.cpu_seconds() - started;
    });
    result.rows.push_back(row_of("CPU: 3,500 bytes read, and a token", prefill));
    const Compared decode = compared(options.repeats, [&](int pair, bool knowing) {
      double first = 0;  // the server's time when the first token was here
      const int said = server
                           .stream(text_that_names_nothing(pair), knowing, 256,
                                   [&] {
                                     if (first == 0) first = server.cpu_seconds();
                                   })
                           .tokens;
      return (server.cpu_seconds() - first) / std::max(1, said - 1);
    });
    result.rows.push_back(row_of("CPU: a token more", decode));
    result.targets.push_back(
        {"decode, more", "< 0.02", median(decode.ratios) - 1, median(decode.ratios) - 1 < 0.02});
    result.targets.push_back(
        {"prefill, more", "< 0.03", median(prefill.ratios) - 1, median(prefill.ratios) - 1 < 0.03});
    const int fewer = std::max(3, options.repeats / 5);
    measure_learning(
        server, "of 36 relations", [&](int) { return facts_of(invent(options.facts, kSeed + 1), 0, 1); },
        fewer, result);
    measure_learning(
        server, "all worded differently",
        [&](int repeat) {
          return facts_without_common_wordings(static_cast<std::size_t>(repeat) * kWorded, kWorded);
        },
        fewer, result);
  }
  measure_many(folder, 10 * options.facts, result);
  std::filesystem::remove_all(folder);
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::bench({argv + 1, argv + argc});
}
