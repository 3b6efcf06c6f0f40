// ./dev eval compression [--data DIR] [--tasks A,B] [--ratios 8,64] [--modes query_aware] [--items N]
// [--items-other M] [--url http://HOST:PORT] [--record FILE] [--results FILE] [--part I/N] [--seed S] [--threads T]
// [--json]: what compressed keys and values cost in answers.
//
// Every question is put as an ordinary request, to the engine in this process or (--url) to a server: once exact,
// then in each mode at each ratio. The exact request's prefix is kept, so a text is read once and compressed at
// every ratio from it. A question counts as solved when the model's greedy answer has the wanted words in it (what a
// user would look for). "kept" is over the questions that the exact cache solves.
//
// Ratios 8 and 64 get N items, the others M. With --record every answer is kept as it comes, and the same
// command goes on where it was stopped; --part 1/2 and 2/2 share the items, and records may be concatenated
// but for their first line. --results writes what was measured in the form of data/kv_quality.json, which
// tools/kv_quality.py . --add FILE takes. --llama-cpp asks llama.cpp instead, with its f16, q8_0 and q4_0. --dump
// FILE writes the questions for evals/peers and measures nothing; --report only prints what the record holds.
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/file_digest.h"
#include "evals/compression_asker.h"
#include "evals/compression_peers.h"
#include "evals/compression_record.h"
#include "evals/compression_tasks.h"
#include "lab/measure.h"

namespace pmt::evals {
using namespace lab;
namespace {

const char* const kUsage =
    "usage: ./dev eval compression [--data DIR] [--tasks A,B] [--ratios 8,64] [--modes A,B] [--items N] "
    "[--items-other M] [--url URL] [--served NAME] [--record FILE] [--results FILE] [--part I/N] [--report] "
    "[--llama-cpp] [--dump FILE] [--seed S] [--threads T] [--calibration FILE] [--json]";

int failed(const base::Error& error) {
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
  bool asks_llama_cpp = false;
  bool only_reports = false;

  bool is_mine(int item) const { return item % parts == part - 1; }
  /// What is measured of the item beside the exact cache.
  std::vector<Setting> settings(int item) const {
    std::vector<Setting> out;
    for (const std::string& mode : modes) {
      for (const double ratio : ratios) {
        const bool main = ratio == 8 || ratio == 64;
        if (ratio > 1 && (main || item < items_other)) out.push_back({mode, ratio});
      }
    }
    return out;
  }
  base::Result<TaskText> task(const std::string& name, const PromptTokens& prompts) const {
    const TokenCount count = [&](const std::string& text) { return prompts.vocab().count_tokens(text); };
    return make_task(name, data, count, items, seed);
  }
};

struct Files {
  std::string record, results, dump;
};

base::Status dump(const Plan& plan, const PromptTokens& prompts, const std::string& path) {
  std::ofstream out(path);
  for (const std::string& name : plan.tasks) {
    TRY_ASSIGN(const TaskText task, plan.task(name, prompts));
    for (std::size_t i = 0; i < task.items.size(); ++i) {
      for (std::size_t q = 0; q < task.items[i].questions.size(); ++q) {
        const Question& question = task.items[i].questions[q];
        const Prompt prompt = prompts.of(task.items[i], question);
        out << nlohmann::json{{"task", name},
                              {"item", i},
                              {"question", q},
                              {"context_tokens", prompt.context},
                              {"question_tokens", prompt.question},
                              {"gold_tokens", prompts.vocab().tokenize(" " + question.wanted.front(), {})},
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

/// What the record doesn't hold of one question: first exact, which the others go on from.
void measure(const std::string& task, int number, const Item& item, int q,
             const std::vector<Setting>& settings, Asker& asker, CompressionRecord& record) {
  const Question& question = item.questions[static_cast<std::size_t>(q)];
  const Setting exact{"exact", 1};
  const auto asked = [&](const Setting& setting, const Answer* full) {
    const Said said = asker.ask(item, question, setting);
    const bool solved = solves(question, said.text);
    record.add({.task = task,
                .item = number,
                .question = q,
                .setting = setting,
                .mode = said.mode,
                .found = said.question,
                .ratio_achieved = said.ratio_achieved,
                .prompt_tokens = said.prompt_tokens,
                .full_solved = full == nullptr ? solved : full->full_solved,
                .solved = solved});
  };
  if (record.find(task, number, q, exact) == nullptr) {
    asked(exact, nullptr);
  } else if (std::all_of(settings.begin(), settings.end(), [&](const Setting& setting) {
               return record.find(task, number, q, setting) != nullptr;
             })) {
    return;
  }
  const Answer full = *record.find(task, number, q, exact);
  for (const Setting& setting : settings) {
    if (record.find(task, number, q, setting) == nullptr) asked(setting, &full);
  }
}

base::Status measure(const Plan& plan, const PromptTokens& prompts, Asker& asker, CompressionRecord& record) {
  for (const std::string& name : plan.tasks) {
    TRY_ASSIGN(const TaskText task, plan.task(name, prompts));
    const Stopwatch clock;
    for (int i = 0; i < static_cast<int>(task.items.size()); ++i) {
      if (!plan.is_mine(i)) continue;
      const Item& item = task.items[static_cast<std::size_t>(i)];
      const auto settings = plan.settings(i);
      for (int q = 0; q < static_cast<int>(item.questions.size()); ++q)
        measure(name, i, item, q, settings, asker, record);
      progress(
          fmt::format("{}: {} of {} contexts, {:.0f} s", name, i + 1, task.items.size(), clock.seconds()));
    }
  }
  return {};
}

base::Status ask_peers(const Plan& plan, const AskerOptions& options, const PromptTokens& prompts,
                       CompressionRecord& record) {
  for (const std::string& name : plan.tasks) {
    TRY_ASSIGN(const TaskText task, plan.task(name, prompts));
    if (record.find(name, 0, 0, {"llama.cpp_f16", 1}) != nullptr) continue;
    ask_llama_cpp(options.model, options.threads, prompts, task,
                  [&](const Answer& answer) { record.add(answer); });
  }
  return {};
}

base::Status write_results(const CompressionRecord& record, const std::string& model,
                           const std::string& path) {
  TRY_ASSIGN(const base::Digest digest, base::digest_of_file(model));
  const std::filesystem::path file(model);
  const CompressionRecord::Provenance provenance{
      .model_digest = digest.hex(),
      .model_name = file.stem().string(),
      .date = fmt::format("{:%Y-%m-%d}", fmt::gmtime(std::time(nullptr))),
      .file_bytes = static_cast<std::int64_t>(std::filesystem::file_size(file))};
  std::ofstream out(path);
  out << record.results(provenance).dump(1) << '\n';
  if (!out) return base::Error{base::Code::kIo, path + " can't be written"};
  return {};
}

base::Status run(const Plan& plan, const AskerOptions& options, const Files& files,
                 CompressionRecord& record) {
  if (!plan.only_reports) {
    const PromptTokens prompts(options.model);
    if (!files.dump.empty()) return dump(plan, prompts, files.dump);
    if (plan.asks_llama_cpp) {
      TRY(ask_peers(plan, options, prompts, record));
    } else {
      const auto asker = make_asker(options);
      TRY(measure(plan, prompts, *asker, record));
    }
  }
  if (!files.results.empty()) TRY(write_results(record, options.model, files.results));
  return {};
}

int main_of(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  Plan plan;
  plan.only_reports = take_flag(args, "--report");
  plan.asks_llama_cpp = take_flag(args, "--llama-cpp");
  plan.data = take_value(args, "--data", "data");
  plan.tasks = split(take_value(
      args, "--tasks", "needle_1400,needle_3200,longeval,xquad,many_questions,instructions,not_leaked"));
  plan.modes = split(take_value(args, "--modes", "query_agnostic,query_aware"));
  for (const auto& each : split(take_value(args, "--ratios", "2,4,8,16,32,64")))
    plan.ratios.push_back(std::stod(each));
  plan.items = std::stoi(take_value(args, "--items", "100"));
  plan.items_other = std::stoi(take_value(args, "--items-other", "30"));
  plan.seed = std::stoi(take_value(args, "--seed", "1"));
  const auto part = split(take_value(args, "--part", "1/1"), '/');
  const Files files{take_value(args, "--record", ""), take_value(args, "--results", ""),
                    take_value(args, "--dump", "")};
  AskerOptions options;
  options.url = take_value(args, "--url", "");
  options.served = take_value(args, "--served", "");
  options.threads = std::stoi(take_value(args, "--threads", "1"));
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
  if (const auto opened = record.open(files.record, plan.seed, plan.only_reports); !opened)
    return failed(opened.error());
  if (const auto ran = run(plan, options, files, record); !ran) return failed(ran.error());
  if (!files.dump.empty()) return 0;
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
  return pmt::evals::main_of({argv + 1, argv + argc});
}
