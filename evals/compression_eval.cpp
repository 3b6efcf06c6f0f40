// ./dev eval compression [--model NAME|FILE] [--data DIR] [--tasks A,B] [--tokens 4096,8192] [--ratios 8,64]
// [--modes query_aware] [--items N] [--items-other M] [--url http://HOST:PORT] [--record FILE] [--results FILE]
// [--part I/N] [--seed S] [--threads T] [--json]: what compressed keys and values cost in answers.
//
// Every question is put as an ordinary request, to the engine in this process or (--url) to a server: once exact,
// then in each mode at each ratio. The exact request's prefix is kept, so a text is read once and compressed at
// every ratio from it, for each of its questions; where one is read again after all, stderr says so. A question counts
// as solved when the model's greedy answer has the wanted words in it (what a user would look for). "kept" is over the
// questions that the exact cache solves.
//
// Tasks named ruler_... (or ruler, for all of them) are RULER's kinds, made by lab/ruler.h to each of --tokens and judged
// as RULER does: the share of the wanted strings that the answer has. They need no data but for essays and questions.
//
// Ratios 8 and 64 get N items (of ruler_... questions), the others M. With --record every answer is kept as it comes,
// and the same command goes on where it was stopped; --part 1/2 and 2/2 share the items, and records may be
// concatenated but for their first line. --results writes what was measured in the form of data/kv_quality.json, which
// tools/kv_quality.py . --add FILE takes. --llama-cpp asks llama.cpp instead, with its f16, q8_0 and q4_0. --dump
// FILE writes the questions for evals/peers and measures nothing; --report only prints what the record holds.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/file_digest.h"
#include "engine/catalogue.h"
#include "evals/compression_asker.h"
#include "evals/compression_pace.h"
#include "evals/compression_peers.h"
#include "evals/compression_record.h"
#include "evals/compression_tasks.h"
#include "lab/measure.h"
#include "lab/ruler.h"

namespace pmt::evals {
using namespace lab;
namespace {

const char* const kUsage =
    "usage: ./dev eval compression [--model NAME|FILE] [--data DIR] [--tasks A,B|ruler] [--tokens 4096,8192] "
    "[--ratios 8,64] [--modes A,B] [--items N] [--items-other M] [--url URL] [--served NAME] [--record FILE] "
    "[--results FILE] [--part I/N] [--report] "
    "[--llama-cpp] [--dump FILE] [--seed S] [--threads T] [--calibration FILE|none] [--json]";

int failed(const base::Error& error) {
  progress("error: " + error.message);
  return 1;
}

/// A task at one of its lengths; 0: it has a length of its own.
struct Chosen {
  std::string name;
  int tokens = 0;
  std::string text() const { return tokens == 0 ? name : fmt::format("{} at {} tokens", name, tokens); }
};

struct Plan {
  std::vector<Chosen> tasks;
  std::vector<std::string> modes;
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
  std::vector<Setting> settings(const TaskText& task, int number) const {
    // --items and --items-other count the same things.
    const Item& first = task.items[static_cast<std::size_t>(number)];
    const int item = task.tokens == 0 ? number : number * static_cast<int>(first.questions.size());
    std::vector<Setting> out;
    for (const std::string& mode : modes) {
      for (const double ratio : ratios) {
        const bool main = ratio == 8 || ratio == 64;
        if (ratio > 1 && (main || item < items_other)) out.push_back({mode, ratio});
      }
    }
    return out;
  }
  /// `asker`: whose count of tokens is taken; null: the model file's.
  base::Result<TaskText> task(const Chosen& chosen, const PromptTokens& prompts, Asker* asker) const {
    return make_task(chosen.name,
                     {.data = data,
                      .count_tokens = [&](const auto& text) { return prompts.vocab().count_tokens(text); },
                      .count_prompt =
                          [&](const auto& turn) {
                            return asker == nullptr ? prompts.count(turn) : asker->prompt_tokens(turn);
                          },
                      .items = items,
                      .seed = seed,
                      .tokens = chosen.tokens});
  }
};

struct Files {
  std::string record, results, dump;
};

base::Status dump(const Plan& plan, const PromptTokens& prompts, const std::string& path) {
  std::ofstream out(path);
  for (const Chosen& chosen : plan.tasks) {
    TRY_ASSIGN(const TaskText task, plan.task(chosen, prompts, nullptr));
    for (std::size_t i = 0; i < task.items.size(); ++i) {
      for (std::size_t q = 0; q < task.items[i].questions.size(); ++q) {
        const Question& question = task.items[i].questions[q];
        const Prompt prompt = prompts.of(task.items[i], question);
        out << nlohmann::json{{"task", task.name},
                              {"tokens", task.tokens},
                              {"item", i},
                              {"question", q},
                              {"context_tokens", prompt.context},
                              {"question_tokens", prompt.question},
                              {"gold_tokens", prompts.vocab().tokenize(" " + question.wanted.front(), {})},
                              {"answer_tokens", question.answer_tokens},
                              {"scoring", name_of(question.scoring)},
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

/// Asks a task's questions that the record doesn't hold, and says how long the rest takes.
class Measurement {
 public:
  Measurement(const Plan& plan, const TaskText& task, std::string title, Asker& asker, Pace& pace,
              CompressionRecord& record)
      : plan_(plan), task_(task), title_(std::move(title)), asker_(asker), pace_(pace), record_(record) {
    for (int i = 0; i < count(); ++i) {
      for (const Todo& each : todo(i)) ++left_[kind_of(each)];
    }
  }

  void run() {
    const Stopwatch clock;
    for (int i = 0; i < count(); ++i) {
      const std::vector<Todo> asked = todo(i);
      if (asked.empty()) continue;
      read_first(i, asked);
      for (const Todo& each : asked) ask(i, each);
      progress(fmt::format("{}: {} of {} contexts, {}{}", title_, i + 1, count(),
                           duration_text(clock.seconds()), rest_text(0)));
    }
  }

 private:
  struct Todo {
    int question = 0;
    Setting setting;
  };

  int count() const { return static_cast<int>(task_.items.size()); }
  const Item& item(int number) const { return task_.items[static_cast<std::size_t>(number)]; }

  /// Of the item, in the order in which they are asked: of each question first exact, which the others go on from.
  std::vector<Todo> todo(int number) const {
    std::vector<Todo> out;
    if (!plan_.is_mine(number)) return out;
    std::vector<Setting> settings = plan_.settings(task_, number);
    settings.insert(settings.begin(), kExact);
    for (int q = 0; q < static_cast<int>(item(number).questions.size()); ++q) {
      for (const Setting& setting : settings) {
        if (record_.find({task_.name, task_.tokens, number, q}, setting) == nullptr)
          out.push_back({q, setting});
      }
    }
    return out;
  }

  /// The exact answer is in the record, its text no longer in the model's memory: read once for all that go on from it.
  void read_first(int number, const std::vector<Todo>& asked) {
    const Todo& first = asked.front();
    if (asked.size() < 2 || first.setting.mode == kExact.mode) return;
    Question question = item(number).questions[static_cast<std::size_t>(first.question)];
    question.answer_tokens = 1;
    static_cast<void>(asker_.ask(item(number), question, kExact));
    read_ = number;
  }

  /// What takes about as long; the first question's exact request reads the text.
  std::string kind_of(const Todo& todo) const {
    const bool reads = todo.setting.mode == kExact.mode && todo.question == 0;
    return fmt::format("{} {} {}", task_.tokens == 0 ? task_.name : "", reads ? "text" : todo.setting.mode,
                       todo.setting.ratio);
  }
  double weight() const { return task_.tokens == 0 ? 1 : task_.tokens; }

  /// What is left of the task, `begun` seconds after a request was sent. "": nobody knows yet.
  std::string rest_text(double begun) const {
    double seconds = 0;
    for (const auto& [kind, requests] : left_) {
      const auto expected = pace_.expected(kind, weight());
      if (!expected) return "";
      seconds += requests * *expected;
    }
    return fmt::format(", about {} left", duration_text(std::max(0.0, seconds - begun)));
  }

  void ask(int number, const Todo& todo) {
    const Asked asked{task_.name, task_.tokens, number, todo.question};
    const Question& question = item(number).questions[static_cast<std::size_t>(todo.question)];
    const std::string kind = kind_of(todo);
    const Stopwatch clock;
    Said said;
    {
      const Ticker ticker(kTickerPeriod, [&](double begun) {
        progress(fmt::format("{}: context {} of {}, question {}, {} {}x: {} so far{}", title_, number + 1,
                             count(), todo.question + 1, todo.setting.mode, todo.setting.ratio,
                             duration_text(begun), rest_text(begun)));
      });
      said = asker_.ask(item(number), question, todo.setting);
    }
    pace_.took(kind, weight(), clock.seconds());
    --left_[kind];
    tell_if_read_again(number, todo, said);
    const double score = score_of(question, said.text);
    const Answer* const full = record_.find(asked, kExact);
    record_.add({.asked = asked,
                 .setting = todo.setting,
                 .mode = said.mode,
                 .found = said.question,
                 .ratio_achieved = said.ratio_achieved,
                 .prompt_tokens = said.prompt_tokens,
                 .prefix_tokens_reused = said.prefix_tokens_reused,
                 .full = full == nullptr ? score : full->score,
                 .score = score});
  }

  /// A text that this process has read needn't be read again, but for the question.
  void tell_if_read_again(int number, const Todo& todo, const Said& said) {
    const bool was_read = number == read_;
    read_ = number;
    if (!was_read || said.prefix_tokens_reused * 2 > said.prompt_tokens ||
        said.prompt_tokens < kLongPromptTokens)
      return;
    progress(
        fmt::format("{}: context {} was read again for {} {}x ({} of {} tokens were there): the model wasn't "
                    "calibrated yet, or its prefixes have too little room",
                    title_, number + 1, todo.setting.mode, todo.setting.ratio, said.prefix_tokens_reused,
                    said.prompt_tokens));
  }

  static inline const Setting kExact{"exact", 1};
  static constexpr std::chrono::seconds kTickerPeriod{30};
  static constexpr std::int64_t kLongPromptTokens = 1000;

  const Plan& plan_;
  const TaskText& task_;
  std::string title_;
  Asker& asker_;
  Pace& pace_;
  CompressionRecord& record_;
  std::map<std::string, int> left_;  // requests by their kind
  int read_ = -1;                    // the item whose text was read last
};

base::Status measure(const Plan& plan, const PromptTokens& prompts, Asker& asker, CompressionRecord& record) {
  Pace pace;
  for (const Chosen& chosen : plan.tasks) {
    if (chosen.tokens > asker.context_tokens()) {
      return base::invalid(fmt::format("{}: the model reads at most {} tokens: give --tokens", chosen.text(),
                                       asker.context_tokens()));
    }
    TRY_ASSIGN(const TaskText task, plan.task(chosen, prompts, &asker));
    Measurement(plan, task, chosen.text(), asker, pace, record).run();
  }
  return {};
}

base::Status ask_peers(const Plan& plan, const AskerOptions& options, const PromptTokens& prompts,
                       CompressionRecord& record) {
  for (const Chosen& chosen : plan.tasks) {
    TRY_ASSIGN(const TaskText task, plan.task(chosen, prompts, nullptr));
    ask_llama_cpp({.model = options.model,
                   .threads = options.threads,
                   .is_mine = [&](int item) { return plan.is_mine(item); }},
                  prompts, task, record);
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

/// A name of the catalogue or a file.
base::Result<std::string> model_file(const std::string& model) {
  if (model.empty())
    return base::invalid(
        "no model: give --model NAME|FILE, set PERMUTATION_MODEL to a GGUF file, or run ./dev eval");
  if (std::filesystem::exists(model)) return model;
  const engine::CatalogueModel* const known = engine::find_in_catalogue(model);
  if (known == nullptr)
    return base::Error{base::Code::kNotFound, model + " is no file, and no model of the catalogue"};
  if (!engine::is_installed(*known)) {
    return base::Error{base::Code::kNotFound,
                       fmt::format("{0} isn't here yet: permutation models pull {0}", model)};
  }
  return engine::installed_path(*known).string();
}

/// Each task at each of its lengths; "ruler" is all of RULER's kinds.
std::vector<Chosen> chosen_tasks(const std::vector<std::string>& names,
                                 const std::vector<std::string>& tokens) {
  std::vector<std::string> all;
  for (const std::string& name : names) {
    if (name != "ruler") all.push_back(name);
    for (std::size_t i = 0; name == "ruler" && i < ruler_kinds().size(); ++i)
      all.push_back(fmt::format("ruler_{}", name_of(ruler_kinds()[i])));
  }
  std::vector<Chosen> out;
  for (const std::string& name : all) {
    if (!takes_tokens(name)) out.push_back({name, 0});
  }
  for (const std::string& each : tokens) {
    for (const std::string& name : all) {
      if (takes_tokens(name)) out.push_back({name, std::stoi(each)});
    }
  }
  return out;
}

int main_of(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  Plan plan;
  plan.only_reports = take_flag(args, "--report");
  plan.asks_llama_cpp = take_flag(args, "--llama-cpp");
  plan.data = take_value(args, "--data", "data");
  plan.tasks = chosen_tasks(
      split(take_value(args, "--tasks",
                       "needle_1400,needle_3200,longeval,xquad,many_questions,instructions,not_leaked")),
      split(take_value(args, "--tokens", "4096")));
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
  const char* const given = std::getenv("PERMUTATION_MODEL");
  const std::string model = take_value(args, "--model", given == nullptr ? "" : given);
  if (!args.empty() || part.size() != 2) {
    progress(kUsage);
    return 2;
  }
  const auto file = model_file(model);
  if (!file) {
    failed(file.error());
    return 2;
  }
  options.model = *file;
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
