// ./dev bench balance [--conversations N] [--turns N] [--at-once N] [--json]
//
// What several servers behind one name reuse of the prompts that they have read, beside one server alone. Each
// server is the real `permutation serve` with the default model on one thread, and a gateway stands in front: with
// one server, with three by balance = "prefix" and "least_busy", and with three that the clients ask in turn. The
// conversations are the same everywhere: of three applications, each with a system text of its own, taken up in a
// seeded order, so many at once. Tokens are the servers' own counters; times are a client's, through the gateway.
// Every arm begins with fresh servers. The response caches are off: they would answer without any prompt. Prefixes
// have room for all conversations, so that none is dropped.
#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "lab/measure.h"
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
const char* const kModel = "smollm2-135m-instruct";

struct Options {
  std::size_t conversations = 24, at_once = 6;
  int turns = 6;
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

struct Conversation {
  json messages = json::array();
  std::vector<std::string> questions;  // one a turn
  std::size_t turn = 0;
};

std::vector<Conversation> conversations(const Options& options) {
  std::mt19937 random(kSeed);
  std::vector<std::string> systems;
  for (std::size_t i = 0; i < kApplications; ++i) systems.push_back(words(kSystemWords, random));
  std::vector<Conversation> out(options.conversations);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].messages.push_back({{"role", "system"}, {"content", systems[i % kApplications]}});
    for (int turn = 0; turn < options.turns; ++turn)
      out[i].questions.push_back(words(turn == 0 ? kFirstWords : kTurnWords, random));
  }
  return out;
}

std::string write_file(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  return path;
}

/// Some servers and a gateway in front of them. What is served: "one/MODEL" of balance, and "sN/MODEL" of each.
class Fleet {
 public:
  Fleet(const std::string& folder, std::size_t servers, const std::string& balance) {
    std::string gateway = "[cache]\nenabled = false\n", urls;
    for (std::size_t i = 0; i < servers; ++i) {
      const std::string own = fmt::format("{}/server{}", folder, i);
      const std::string config = fmt::format(
          "[[model]]\nname = \"{}\"\nthreads = 1\nkv_bytes = 1073741824\nprefix_bytes = 536870912\n"
          "[cache]\nenabled = false\n[knowledge]\npath = \"{}\"\n",
          kModel, own);
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

Answer ask(net::HttpClient& client, const std::string& model, const json& messages) {
  const json body{{"model", model},
                  {"messages", messages},
                  {"temperature", 0},
                  {"max_tokens", kAnswerTokens},
                  {"min_tokens", kAnswerTokens},
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

/// All conversations, `at_once` of them at a time: each turn after the one before, whose turn it is by the seed.
class Run {
 public:
  Run(const Options& options, const Fleet& fleet, bool in_turn)
      : options_(options), fleet_(fleet), in_turn_(in_turn), conversations_(conversations(options)) {
    for (std::size_t i = 0; i < conversations_.size(); ++i) ready_.push_back(i);
    left_ = conversations_.size() * static_cast<std::size_t>(options.turns);
  }

  void all() {
    const Stopwatch watch;
    std::vector<std::thread> clients;
    for (std::size_t i = 0; i < options_.at_once; ++i) clients.emplace_back([this] { client(); });
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
      std::swap(ready_[random_() % ready_.size()], ready_.back());
      const std::size_t which = ready_.back();
      ready_.pop_back();
      --left_;
      const std::string server = in_turn_ ? fmt::format("s{}", asked_++ % kServers) : "one";
      lock.unlock();
      const double first_token_s = turn(*http, server + "/" + kModel, conversations_[which]);
      lock.lock();
      first_token_s_.push_back(first_token_s);
      if (conversations_[which].turn < conversations_[which].questions.size()) ready_.push_back(which);
      changed_.notify_all();
    }
    changed_.notify_all();
  }

  static double turn(net::HttpClient& http, const std::string& model, Conversation& conversation) {
    conversation.messages.push_back(
        {{"role", "user"}, {"content", conversation.questions[conversation.turn++]}});
    const Answer answer = ask(http, model, conversation.messages);
    conversation.messages.push_back({{"role", "assistant"}, {"content", answer.text}});
    return answer.first_token_s;
  }

  const Options options_;
  const Fleet& fleet_;
  const bool in_turn_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Conversation> conversations_;  // one client at a time has each
  std::vector<std::size_t> ready_;           // guarded by mutex_, like all below
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

/// Tokens reused.
double measure(const Arm& arm, const Options& options, const std::string& folder, double alone,
               Result& result) {
  progress(arm.what);
  const Fleet fleet(folder, arm.servers, arm.balance);
  Run run(options, fleet, arm.in_turn);
  run.all();
  const double reused = sum(fleet.counted("prefix_tokens_reused")),
               read = sum(fleet.counted("prompt_tokens"));
  std::string shares;
  for (const double requests : fleet.counted("requests"))
    shares += fmt::format("{}{:.0f}", shares.empty() ? "" : " ", requests);
  result.rows.push_back({{"what", arm.what},
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
  if (!args.empty() || options.conversations == 0 || options.turns < 2 || options.at_once == 0) {
    fmt::print(stderr,
               "usage: bench balance [--conversations N] [--turns N (2 at least)] [--at-once N] [--json]\n");
    return 2;
  }
  const std::string folder =
      (std::filesystem::temp_directory_path() / fmt::format("pmt-balance-{}", getpid())).string();
  std::filesystem::create_directories(folder);
  Result result{.name = "balance", .seed = kSeed, .rows = {}, .targets = {}};
  const double alone = measure({"one server alone", 1, "prefix", false}, options, folder, 0, result);
  const double by_prefix = measure({"prefix", kServers, "prefix", false}, options, folder, alone, result);
  (void)measure({"least_busy", kServers, "least_busy", false}, options, folder, alone, result);
  (void)measure({"round robin", kServers, "prefix", true}, options, folder, alone, result);
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
