// ./dev bench busy [--model GGUF] [--busy N] [--rounds N] [--json]: what others on the machine cost. A prompt is read
// and an answer written by a model alone, beside N processes that only count (llama.cpp, too), and by two models of
// one process in turns and at once. Everything takes turns, round by round, so that a noisy machine slows all of it;
// a figure is the median of the rounds' own ratios.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "engine/local_engine.h"
#include "lab/llama_reference.h"
#include "lab/measure.h"
#include "llm/sinks.h"

namespace pmt::bench {
using namespace lab;
namespace {

constexpr int kPromptTokens = 512, kAnswerTokens = 64;
constexpr std::size_t kPoolBytes = std::size_t{256} << 20;
constexpr double kSlowDownMost = 2.3, kAtOnceLeast = 0.95;

/// Processes that count as fast as they can, while they are let.
class BusyProcesses {
 public:
  /// Requires: this process has no other thread yet.
  explicit BusyProcesses(int count) {
    for (int i = 0; i < count; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::raise(SIGSTOP);
        for (volatile unsigned counted = 0;;) counted = counted + 1;
      }
      if (child < 0) fail("fork failed");
      children_.push_back(child);
    }
    // Each has stopped itself before anything is measured.
    for (const pid_t child : children_) ::waitpid(child, nullptr, WUNTRACED);
  }
  ~BusyProcesses() {
    for (const pid_t child : children_) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
  }
  BusyProcesses(const BusyProcesses&) = delete;
  BusyProcesses& operator=(const BusyProcesses&) = delete;

  void go() const { tell(SIGCONT); }
  void stop() const { tell(SIGSTOP); }

 private:
  void tell(int signal) const {
    for (const pid_t child : children_) ::kill(child, signal);
    constexpr auto kUntilItShows = std::chrono::milliseconds(50);
    std::this_thread::sleep_for(kUntilItShows);
  }

  std::vector<pid_t> children_;
};

/// Seconds.
struct Times {
  double prefill = 0;
  double token = 0;  // of the answer, each
};

/// Two models of one file in one process, asked by requests.
class Ours {
 public:
  Ours(const std::string& path, int vocabulary) : vocabulary_(vocabulary) {
    engine::LocalEngineOptions options;
    for (const char* name : {"first", "second"}) {
      inference::LocalModelOptions model;
      model.name = name;
      model.path = path;
      model.kv_bytes_max = kPoolBytes;
      model.prefix_bytes_max = 0;
      model.on_warning = progress;
      options.models.push_back(std::move(model));
    }
    engine_ = need(engine::LocalEngine::open(std::move(options), clock_));
  }

  Times ask() { return times_of(*start(0)); }
  /// Seconds until both have answered.
  double ask_both_in_turns() {
    const Stopwatch both;
    for (const std::size_t model : {0U, 1U}) times_of(*start(model));
    return both.seconds();
  }
  double ask_both_at_once() {
    const Stopwatch both;
    const auto first = start(0), second = start(1);
    times_of(*first);
    times_of(*second);
    return both.seconds();
  }

 private:
  std::shared_ptr<llm::CollectingSink> start(std::size_t model) {
    llm::Request request;
    request.id = fmt::format("bench-{}", ++asked_);
    request.endpoint = llm::Endpoint::kCompletions;
    request.prompt_tokens = some_tokens(kPromptTokens, vocabulary_, asked_);
    request.max_tokens = kAnswerTokens + 1;  // the first one comes with the prefill
    request.ignore_eos = true;
    request.sampling.temperature = 0;
    request.speculation = llm::Speculation::kOff;
    auto sink = std::make_shared<llm::CollectingSink>();
    engine_->models()[model].completer().start(std::move(request), sink, {});
    return sink;
  }
  static Times times_of(llm::CollectingSink& sink) {
    const auto events = sink.wait();
    if (const auto* failed = std::get_if<llm::Failed>(&events.back())) fail(failed->error.message);
    const auto& timing = std::get<llm::Done>(events.back()).report.timing;
    constexpr double kMs = 1e-3;
    return {timing->prefill_ms * kMs, timing->decode_ms * kMs / kAnswerTokens};
  }

  base::SystemClock clock_;
  int vocabulary_;
  std::uint32_t asked_ = 0;
  std::unique_ptr<engine::LocalEngine> engine_;
};

Times run(LlamaReference& llama, std::uint32_t seed) {
  llama.clear();
  const auto tokens = some_tokens(kPromptTokens, llama.vocabulary(), seed);
  const Stopwatch prefill;
  llama.read(tokens);
  Times times;
  times.prefill = prefill.seconds();
  const Stopwatch answer;
  for (std::size_t i = 0; i < kAnswerTokens; ++i) llama.read(std::span(tokens).subspan(i, 1));
  times.token = answer.seconds() / kAnswerTokens;
  return times;
}

struct Round {
  Times alone, busy, llama_alone, llama_busy;
  double in_turns_s = 0, at_once_s = 0;
};

Round measure(Ours& ours, LlamaReference& llama, const BusyProcesses& others, std::uint32_t seed) {
  Round round;
  round.alone = ours.ask();
  round.llama_alone = run(llama, seed);
  round.in_turns_s = ours.ask_both_in_turns();
  round.at_once_s = ours.ask_both_at_once();
  others.go();
  round.busy = ours.ask();
  round.llama_busy = run(llama, seed);
  others.stop();
  return round;
}

template <class Of>
double median_of(const std::vector<Round>& rounds, Of&& of) {
  std::vector<double> values;
  for (const Round& round : rounds) values.push_back(of(round));
  return median(std::move(values));
}

template <class Alone, class Busy>
nlohmann::ordered_json row_of(const char* what, const std::vector<Round>& rounds, Alone&& alone,
                              Busy&& busy) {
  nlohmann::ordered_json row = {{"what", what}};
  row["alone_ms"] = 1e3 * median_of(rounds, alone);
  row["busy_ms"] = 1e3 * median_of(rounds, busy);
  row["times_as_long"] = median_of(rounds, [&](const Round& r) { return busy(r) / alone(r); });
  return row;
}

Result result_of(const std::vector<Round>& rounds, int busy) {
  Result result{.name = "busy", .seed = 1, .rows = {}, .targets = {}};
  const auto add = [&](const char* what, auto&& alone, auto&& beside) {
    result.rows.push_back(row_of(what, rounds, alone, beside));
    return result.rows.back()["times_as_long"].template get<double>();
  };
  const double token = add(
      "a token", [](const Round& r) { return r.alone.token; }, [](const Round& r) { return r.busy.token; });
  const double prefill = add(
      "a prompt", [](const Round& r) { return r.alone.prefill; },
      [](const Round& r) { return r.busy.prefill; });
  add(
      "a token, llama.cpp", [](const Round& r) { return r.llama_alone.token; },
      [](const Round& r) { return r.llama_busy.token; });
  add(
      "a prompt, llama.cpp", [](const Round& r) { return r.llama_alone.prefill; },
      [](const Round& r) { return r.llama_busy.prefill; });
  for (auto& row : result.rows) row["busy_processes"] = busy;
  const double both = median_of(rounds, [](const Round& r) { return r.in_turns_s / r.at_once_s; });
  const std::string asked = fmt::format("<= {}x", kSlowDownMost);
  result.targets = {
      {fmt::format("a token beside {} busy processes", busy), asked, token, token <= kSlowDownMost},
      {fmt::format("a prompt of {} tokens beside them", kPromptTokens), asked, prefill,
       prefill <= kSlowDownMost},
      {"two models at once, of their speed in turns", fmt::format(">= {}", kAtOnceLeast), both,
       both >= kAtOnceLeast}};
  return result;
}

int bench(std::vector<std::string> args) {
  const bool json = take_flag(args, "--json");
  const char* fallback = std::getenv("PERMUTATION_MODEL");
  const std::string path = take_value(args, "--model", fallback == nullptr ? "" : fallback);
  const int busy = std::stoi(take_value(args, "--busy", "2"));
  const int count = std::stoi(take_value(args, "--rounds", "7"));
  if (path.empty() || count < 1 || busy < 1 || !args.empty()) {
    fmt::print(stderr, "usage: bench busy --model GGUF [--busy N] [--rounds N] [--json]\n");
    return 2;
  }
  const BusyProcesses others(busy);
  const int threads = static_cast<int>(std::thread::hardware_concurrency());
  const auto llama = need(LlamaReference::load(path, {.threads = threads}));
  Ours ours(path, llama->vocabulary());
  measure(ours, *llama, others, 0);  // warms caches, pages and graphs
  std::vector<Round> rounds;
  for (int i = 1; i <= count; ++i) {
    rounds.push_back(measure(ours, *llama, others, static_cast<std::uint32_t>(i)));
    progress(fmt::format("round {} of {}: a token takes {:.2f} times as long", i, count,
                         rounds.back().busy.token / rounds.back().alone.token));
  }
  print(result_of(rounds, busy), json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::bench({argv + 1, argv + argc});
}
