// ./dev eval compression [--data DIR] [--tasks A,B] [--ratios 1,8] [--modes query_aware] [--items N]
// [--items-other M] [--record FILE] [--part I/N] [--seed S] [--threads T] [--json]: what compressed keys and
// values cost in answers.
//
// Each item's context is read once, exact; then, for every mode and ratio, it is compressed and its questions
// are put to it. A question counts as solved when the model's own greedy answer has the wanted words in it
// (what a user would look for). "kept" is over the questions that the full cache solves; beside it stands
// the gold answer's mean log-probability over all. Perplexity is kept as full / compressed.
//
// Ratios 8 and 64 get N items, the others M. With --record every answer is kept as it comes, and the same
// command goes on where it was stopped; --part 1/2 and 2/2 share the items, and records may be concatenated
// but for their first line. --llama-cpp asks llama.cpp instead, with its f16, q8_0 and q4_0. --dump FILE
// writes the questions for evals/peers and measures nothing; --report only prints what the record holds.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "evals/compression_peers.h"
#include "evals/compression_record.h"
#include "evals/compression_runner.h"
#include "evals/compression_tasks.h"
#include "lab/measure.h"

namespace pmt::evals {
using namespace lab;
namespace {

const char* const kUsage =
    "usage: ./dev eval compression [--data DIR] [--tasks A,B] [--ratios 1,8] [--modes A,B] [--items N] "
    "[--items-other M] [--record FILE] [--part I/N] [--report] [--llama-cpp] [--dump FILE] [--seed S] "
    "[--threads T] "
    "[--scores predicted|repeated] [--calibration FILE] [--json]";

int fail(const base::Error& error) {
  progress("error: " + error.message);
  return 1;
}

struct Plan {
  std::vector<std::string> tasks, modes;
  std::vector<double> ratios;
  int items = 0;
  int items_other = 0;
  int part = 1;
  int parts = 1;
  std::string data;
  int seed = 1;

  bool is_mine(int item) const { return item % parts == part - 1; }
  /// What is measured of the item, and isn't in the record yet.
  std::vector<Setting> settings(const std::string& task, int item, const CompressionRecord& record) const {
    std::vector<Setting> out;
    for (const std::string& mode : modes) {
      for (const double ratio : ratios) {
        const bool main = ratio == 8 || ratio == 64;
        const Setting setting{mode, ratio};
        if (ratio > 1 && (main || item < items_other) && !record.has(task, item, setting))
          out.push_back(setting);
      }
    }
    return out;
  }
};

base::Status dump(const Plan& plan, const model::Vocab& vocab, const std::string& path) {
  std::ofstream out(path);
  for (const std::string& name : plan.tasks) {
    TRY_ASSIGN(const TaskText task, make_task(name, plan.data, vocab, plan.items, plan.seed));
    for (std::size_t i = 0; i < task.items.size(); ++i) {
      for (std::size_t q = 0; q < task.items[i].questions.size(); ++q) {
        const Question& question = task.items[i].questions[q];
        out << nlohmann::json{{"task", name},
                              {"item", i},
                              {"question", q},
                              {"context_tokens", task.items[i].context},
                              {"question_tokens", question.tokens},
                              {"gold_tokens", question.gold},
                              {"wanted", question.wanted},
                              {"forbidden", question.forbidden}}
                   .dump()
            << '\n';
      }
    }
  }
  if (!out) return base::Error{base::Code::kIo, path + " can't be written"};
  return {};
}

base::Status measure(const Plan& plan, CompressionRunner& runner, CompressionRecord& record) {
  for (const std::string& name : plan.tasks) {
    TRY_ASSIGN(const TaskText task, make_task(name, plan.data, runner.vocab(), plan.items, plan.seed));
    const Stopwatch clock;
    for (int i = 0; i < static_cast<int>(task.items.size()); ++i) {
      if (!plan.is_mine(i)) continue;
      const auto settings = plan.settings(name, i, record);
      if (settings.empty() && record.has(name, i, {"full", 1})) continue;
      runner.run(name, i, task.items[static_cast<std::size_t>(i)], settings,
                 [&](const Answer& answer) { record.add(answer); });
      progress(
          fmt::format("{}: {} of {} contexts, {:.0f} s", name, i + 1, task.items.size(), clock.seconds()));
    }
  }
  return {};
}

base::Status ask_peers(const Plan& plan, const RunnerOptions& options, CompressionRecord& record) {
  TRY_ASSIGN(const auto vocab, model::Vocab::load(options.model));
  for (const std::string& name : plan.tasks) {
    TRY_ASSIGN(const TaskText task, make_task(name, plan.data, *vocab, plan.items, plan.seed));
    if (name == "perplexity" || record.has(name, 0, {"llama.cpp_f16", 1})) continue;
    ask_llama_cpp(options.model, options.threads, *vocab, task,
                  [&](const Answer& answer) { record.add(answer); });
  }
  return {};
}

int run(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  const bool report = take_flag(args, "--report");
  const bool peers = take_flag(args, "--llama-cpp");
  Plan plan;
  plan.data = take_value(args, "--data", "data");
  plan.tasks = split(take_value(args, "--tasks",
                                "needle_1400,needle_3200,longeval,xquad,perplexity,many_questions,"
                                "instructions,not_leaked"));
  plan.modes = split(take_value(args, "--modes", "query_agnostic,query_aware"));
  for (const auto& each : split(take_value(args, "--ratios", "1,2,4,8,16,32,64")))
    plan.ratios.push_back(std::stod(each));
  plan.items = std::stoi(take_value(args, "--items", "100"));
  plan.items_other = std::stoi(take_value(args, "--items-other", "20"));
  plan.seed = std::stoi(take_value(args, "--seed", "1"));
  const auto part = split(take_value(args, "--part", "1/1"), '/');
  const std::string record_path = take_value(args, "--record", "");
  const std::string dump_path = take_value(args, "--dump", "");
  RunnerOptions options;
  options.threads = std::stoi(take_value(args, "--threads", "1"));
  options.scores = take_value(args, "--scores", "predicted");
  options.calibration = take_value(args, "--calibration", "");
  const char* model = std::getenv("PERMUTATION_MODEL");
  if (!args.empty() || part.size() != 2) {
    progress(kUsage);
    return 2;
  }
  if (model == nullptr) {
    progress("error: PERMUTATION_MODEL names no model: set it to a GGUF file, or run ./dev eval, which does");
    return 2;
  }
  options.model = model;
  plan.part = std::stoi(part[0]);
  plan.parts = std::max(1, std::stoi(part[1]));

  CompressionRecord record;
  if (const auto opened = record.open(record_path, plan.seed, report); !opened) return fail(opened.error());
  if (!dump_path.empty()) {
    const auto vocab = model::Vocab::load(model);
    if (!vocab) return fail(vocab.error());
    const auto written = dump(plan, **vocab, dump_path);
    return written ? 0 : fail(written.error());
  }
  if (peers) {
    const auto asked = ask_peers(plan, options, record);
    if (!asked) return fail(asked.error());
  } else if (!report) {
    CompressionRunner runner(options);
    if (const auto measured = measure(plan, runner, record); !measured) return fail(measured.error());
  }
  Result result;
  result.name = "eval compression";
  result.seed = plan.seed;
  result.rows = record.rows();
  result.targets = compression_targets(result.rows);
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::run({argv + 1, argv + argc});
}
