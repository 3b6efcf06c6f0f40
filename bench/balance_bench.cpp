// ./dev bench balance [--conversations N] [--turns N] [--at-once N] [--json]
// ./dev bench balance --data DIR [--requests N] [--at-once N] [--json]
//
// What several servers behind one name reuse of the prompts that they have read, beside one server alone. Each
// server is the real `permutation serve` with the default model on one thread, and a gateway stands in front: with
// one server, with three by balance = "prefix" and "least_busy", and with three that the clients ask in turn. The
// conversations are the same everywhere, so many at once:
//   seeded      of three applications, each with a system text of its own, taken up in a seeded order
//   recorded    with --data: a sample of Mooncake's trace of conversations, or of another of its traces if that one is
//               not there, as lab/recorded_trace.h makes prompts of it: what is shared is what was, every length is a
//               32nd. They are taken up in their order, as soon as a client is free; prompts of more than 2,048 tokens
//               then are left out. The results name the file.
// Tokens are the servers' own counters; times are a client's, through the gateway.
// Every arm begins with fresh servers. The response caches are off: they would answer without any prompt. Prefixes
// have room for all conversations, so that none is dropped.
#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "lab/measure.h"
#include "lab/recorded_trace.h"
#include "lab/server_process.h"
#include "net/http_client.h"

namespace pmt::bench {
using namespace lab;
namespace {

using nlohmann::json;

constexpr int kSeed = 33;
constexpr std::size_t kServers = 3, kApplications = 3;
constexpr int kSystemWords = 100, kFirstWords = 40, kTurnWords = 12, kAnswerTokens = 8;
constexpr double kAskedShare = 0.9;
constexpr int kScaleDown = 32;
constexpr std::int64_t kPromptTokensMax = 2048;
const char* const kModel = "smollm2-135m-instruct";

struct Options {
  std::size_t conversations = 24, at_once = 6, requests = 96;
  int turns = 6;
  std::string data;  // "": the seeded conversations
};

/// So many words, another text for each state of `random`.
std::string words(int count, std::mt19937& random) {
  static constexpr const char* kWords[] = {
      "river",   "small",  "reads",  "a",      "winter", "paper",  "the",     "stone",
      "answers", "green",  "letter", "before", "quiet",  "market", "counts",  "every",
      "harbor",  "window", "tells",  "of",     "eight",  "bright", "lamps",   "and",
      "writes",  "about",  "old",    "maps",   "under",  "low",    "bridges", "often"};
  std::string out;
  for (int i = 0; i < count; ++i) {
    out += i == 0 ? "" : " ";
    out += kWords[random() % std::size(kWords)];
  }
  return out + ".";
}

/// A turn: the whole prompt as it was recorded, or what is asked after all that was said before.
struct Turn {
  json prompt = nullptr;
  std::string question = {};
  int answer_tokens = kAnswerTokens;
  std::size_t place = 0;  // among all recorded
};

struct Conversation {
  json messages = json::array();
  std::vector<Turn> turns;
  std::size_t turn = 0;
  bool over() const { return turn == turns.size(); }
};

struct Mix {
  std::string name;
  bool in_order = false;  // who comes first has its turn first; else by the seed
  std::int64_t prefix_bytes = 536'870'912;
  std::vector<Conversation> conversations;
};

Mix seeded_mix(const Options& options) {
  std::mt19937 random(kSeed);
  std::vector<std::string> systems;
  for (std::size_t i = 0; i < kApplications; ++i) systems.push_back(words(kSystemWords, random));
  std::vector<Conversation> out(options.conversations);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].messages.push_back({{"role", "system"}, {"content", systems[i % kApplications]}});
    for (int turn = 0; turn < options.turns; ++turn)
      out[i].turns.push_back({.question = words(turn == 0 ? kFirstWords : kTurnWords, random)});
  }
  return {.name = "seeded", .conversations = std::move(out)};
}

Mix recorded_mix(const Options& options) {
  const RecordedTrace trace = need(read_recorded(options.data, {"conversation", "toolagent", "synthetic"}));
  const auto requests = sample_recorded(
      trace.requests,
      {.requests = options.requests, .prompt_tokens_max = kPromptTokensMax * kScaleDown, .seed = kSeed});
  const RecordedPrompts prompts(requests,
                                {.scale = 1.0 / kScaleDown, .text = [](std::uint64_t hash, auto tokens) {
                                   std::mt19937 random(static_cast<std::uint32_t>(hash));
                                   return words(static_cast<int>(tokens), random) + " ";
                                 }});
  // These have more of their own than the seeded ones.
  Mix mix{.name = fmt::format("{}, lengths / {}", trace.file, kScaleDown),
          .in_order = true,
          .prefix_bytes = 939'524'096,
          .conversations = {}};
  std::map<std::vector<std::uint64_t>, std::size_t> places;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto [at, is_new] =
        places.try_emplace(prompts.conversation_of(requests[i]), mix.conversations.size());
    if (is_new) mix.conversations.emplace_back();
    mix.conversations[at->second].turns.push_back(
        {.prompt = prompts.messages(requests[i]),
         .answer_tokens = static_cast<int>(prompts.scaled(requests[i].answer_tokens)),
         .place = i});
  }
  return mix;
}

std::string write_file(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

/// Some servers and a gateway in front of them. What is served: "one/MODEL" of balance, and "sN/MODEL" of each.
class Fleet {
 public:
  Fleet(const std::string& folder, std::size_t servers, const std::string& balance,
        std::int64_t prefix_bytes) {
    std::string gateway = "[cache]\nenabled = false\n", urls;
    for (std::size_t i = 0; i < servers; ++i) {
      const std::string own = fmt::format("{}/server{}", folder, i);
      const std::string config = fmt::format(
          "[[model]]\nname = \"{}\"\nthreads = 1\nkv_bytes = 1073741824\nprefix_bytes = {}\n"
          "[cache]\nenabled = false\n[knowledge]\npath = \"{}\"\n",
          kModel, prefix_bytes, own);
      servers_.push_back(
          need(ServerProcess::start(binary(), {"--config", write_file(own + ".toml", config)})));
      urls += fmt::format("{}\"{}/v1\"", i == 0 ? "" : ", ", servers_.back()->url());
      gateway += fmt::format("[[upstream]]\nname = \"s{}\"\nbase_url = \"{}/v1\"\nmodels = [\"{}\"]\n", i,
                             servers_.back()->url(), kModel);
    }
    gateway +=
        fmt::format("[[upstream]]\nname = \"one\"\nbase_urls = [{}]\nbalance = \"{}\"\nmodels = [\"{}\"]\n",
                    urls, balance, kModel);
    gateway_ =
        need(ServerProcess::start(binary(), {"--config", write_file(folder + "/gateway.toml", gateway)}));
  }

  const std::string& url() const { return gateway_->url(); }

  /// A counter of each server's engine.
  std::vector<double> counted(const std::string& name) const {
    std::vector<double> out;
    for (const auto& server : servers_) {
      auto client = need(net::HttpClient::connect(server->url(), 60));
      const std::string text = need(client->request("GET", "/metrics", {}, "")).body;
      const std::string sample = fmt::format("\npermutation_engine_{}_total{{model=\"{}\"}} ", name, kModel);
      const std::size_t at = text.find(sample);
      if (at == std::string::npos) fail("the server doesn't count " + name);
      out.push_back(std::strtod(text.c_str() + at + sample.size(), nullptr));
    }
    return out;
  }

 private:
  static std::string binary() {
    if (const char* named = std::getenv("PERMUTATION_BIN")) return named;
    return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / PMT_BINARY_FROM_HERE).string();
  }

  std::vector<std::unique_ptr<ServerProcess>> servers_;
  std::unique_ptr<ServerProcess> gateway_;
};

struct Answer {
  std::string text;
  double first_token_s = 0;
};

Answer ask(net::HttpClient& client, const std::string& model, const json& messages, int answer_tokens) {
  const json body{{"model", model},
                  {"messages", messages},
                  {"temperature", 0},
                  {"max_tokens", answer_tokens},
                  {"min_tokens", answer_tokens},
                  {"stream", true}};
  Answer out;
  std::string rest;
  const Stopwatch watch;
  const auto answer = need(client.stream(
      "POST", "/v1/chat/completions", {{"content-type", "application/json"}}, body.dump(),
      [&](std::string_view bytes) {
        rest += bytes;
        for (std::size_t end = rest.find("\n\n"); end != std::string::npos; end = rest.find("\n\n")) {
          constexpr std::size_t kLead = sizeof("data: ") - 1;
          const json event = json::parse(rest.substr(kLead, end - kLead), nullptr, false);
          rest.erase(0, end + 2);
          const std::string piece =
              base::text_at(base::at(base::first_at(event, "choices"), "delta"), "content");
          if (out.text.empty() && !piece.empty()) out.first_token_s = watch.seconds();
          out.text += piece;
        }
        return true;
      }));
  if (answer.status != 200 || out.text.empty()) fail("the gateway answered: " + answer.body + rest);
  return out;
}

/// All conversations, `at_once` of them at a time: each turn after the one before.
class Run {
 public:
  Run(std::size_t at_once, const Fleet& fleet, Mix mix, bool in_turn)
      : at_once_(at_once), fleet_(fleet), in_turn_(in_turn), mix_(std::move(mix)) {
    for (std::size_t i = 0; i < mix_.conversations.size(); ++i) {
      ready_.push_back(i);
      left_ += mix_.conversations[i].turns.size();
    }
  }

  void all() {
    const Stopwatch watch;
    std::vector<std::thread> clients;
    for (std::size_t i = 0; i < at_once_; ++i) clients.emplace_back([this] { client(); });
    for (std::thread& each : clients) each.join();
    seconds_ = watch.seconds();
  }
  double seconds() const { return seconds_; }
  double first_token_p50_s() const { return median(first_token_s_); }

 private:
  void client() {
    auto http = need(net::HttpClient::connect(fleet_.url(), 300));
    for (std::unique_lock lock(mutex_); left_ > 0;) {
      if (ready_.empty()) {
        changed_.wait(lock);
        continue;
      }
      const std::size_t which = take_ready();
      --left_;
      const std::string server = in_turn_ ? fmt::format("s{}", asked_++ % kServers) : "one";
      lock.unlock();
      const double first_token_s = turn(*http, server + "/" + kModel, mix_.conversations[which]);
      lock.lock();
      first_token_s_.push_back(first_token_s);
      if (!mix_.conversations[which].over()) ready_.push_back(which);
      changed_.notify_all();
    }
    changed_.notify_all();
  }

  /// Under the lock. Requires: one is ready.
  std::size_t take_ready() {
    auto chosen = ready_.begin() + static_cast<std::ptrdiff_t>(random_() % ready_.size());
    if (mix_.in_order) {
      chosen = std::ranges::min_element(ready_, {}, [this](std::size_t which) {
        const Conversation& conversation = mix_.conversations[which];
        return conversation.turns[conversation.turn].place;
      });
    }
    std::swap(*chosen, ready_.back());
    const std::size_t which = ready_.back();
    ready_.pop_back();
    return which;
  }

  static double turn(net::HttpClient& http, const std::string& model, Conversation& conversation) {
    const Turn& now = conversation.turns[conversation.turn++];
    if (!now.prompt.is_null()) return ask(http, model, now.prompt, now.answer_tokens).first_token_s;
    conversation.messages.push_back({{"role", "user"}, {"content", now.question}});
    const Answer answer = ask(http, model, conversation.messages, now.answer_tokens);
    conversation.messages.push_back({{"role", "assistant"}, {"content", answer.text}});
    return answer.first_token_s;
  }

  const std::size_t at_once_;
  const Fleet& fleet_;
  const bool in_turn_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Mix mix_;                         // one client at a time has each conversation
  std::vector<std::size_t> ready_;  // guarded by mutex_, like all below
  std::vector<double> first_token_s_;
  std::mt19937 random_{kSeed};
  std::size_t left_ = 0, asked_ = 0;
  double seconds_ = 0;
};

double sum(const std::vector<double>& values) {
  double out = 0;
  for (const double value : values) out += value;
  return out;
}

struct Arm {
  const char* what;
  std::size_t servers;
  const char* balance;
  bool in_turn;
};

struct Measured {
  const Mix& mix;
  std::size_t at_once;
  std::string folder;
};

/// Tokens reused.
double measure(const Arm& arm, const Measured& what, double alone, Result& result) {
  progress(arm.what);
  const Fleet fleet(what.folder, arm.servers, arm.balance, what.mix.prefix_bytes);
  Run run(what.at_once, fleet, what.mix, arm.in_turn);
  run.all();
  const double reused = sum(fleet.counted("prefix_tokens_reused")),
               read = sum(fleet.counted("prompt_tokens"));
  std::string shares;
  for (const double requests : fleet.counted("requests"))
    shares += fmt::format("{}{:.0f}", shares.empty() ? "" : " ", requests);
  result.rows.push_back({{"mix", what.mix.name},
                         {"what", arm.what},
                         {"servers", arm.servers},
                         {"prompt_tokens", read},
                         {"tokens_reused", reused},
                         {"share_reused", reused / read},
                         {"of_one_alone", reused / (alone > 0 ? alone : reused)},
                         {"first_token_p50_ms", run.first_token_p50_s() * 1e3},
                         {"tokens_per_s", sum(fleet.counted("completion_tokens")) / run.seconds()},
                         {"seconds", run.seconds()},
                         {"requests_each", shares}});
  return reused;
}

int bench(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  spdlog::set_level(spdlog::level::warn);  // its lines would stand among the JSON
  Options options;
  options.conversations = std::stoul(take_value(args, "--conversations", "24"));
  options.turns = std::stoi(take_value(args, "--turns", "6"));
  options.at_once = std::stoul(take_value(args, "--at-once", "6"));
  options.data = take_value(args, "--data", "");
  options.requests = std::stoul(take_value(args, "--requests", "96"));
  if (!args.empty() || options.conversations == 0 || options.turns < 2 || options.at_once == 0 ||
      options.requests == 0) {
    fmt::print(stderr,
               "usage: bench balance [--conversations N] [--turns N (2 at least)] [--at-once N] [--json]\n"
               "       bench balance --data DIR [--requests N] [--at-once N] [--json]\n");
    return 2;
  }
  const Mix mix = options.data.empty() ? seeded_mix(options) : recorded_mix(options);
  const std::string folder =
      (std::filesystem::temp_directory_path() / fmt::format("pmt-balance-{}", getpid())).string();
  std::filesystem::create_directories(folder);
  Result result{.name = "balance", .seed = kSeed, .rows = {}, .targets = {}};
  const Measured what{.mix = mix, .at_once = options.at_once, .folder = folder};
  const double alone = measure({"one server alone", 1, "prefix", false}, what, 0, result);
  const double by_prefix = measure({"prefix", kServers, "prefix", false}, what, alone, result);
  (void)measure({"least_busy", kServers, "least_busy", false}, what, alone, result);
  (void)measure({"round robin", kServers, "prefix", true}, what, alone, result);
  const double share = by_prefix / alone;
  result.targets.push_back({"prefix tokens reused by three servers, of what one alone reuses",
                            fmt::format(">= {}", kAskedShare), share, share >= kAskedShare});
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::bench({argv + 1, argv + argc});
}
