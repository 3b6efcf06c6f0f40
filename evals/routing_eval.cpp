// ./dev eval routing [--student NAME|FILE] [--teacher NAME] [--http] [--sets A,B] [--items N,M]
// [--questions FILE] [--data DIR] [--keep 0.95] [--sure 0.8] [--student-usd 0,0] [--teacher-usd 1,2]
// [--seed S] [--verbose] [--json]: what the engine's router is worth, for each kind of traffic
// (routing_questions.h; --questions: your own, with keys), and which `confidence_min` keeps --keep of the
// teacher's right answers.
//
// The real thing runs: `permutation serve` with the student and the teacher in it (--http: the teacher in a
// second server, as an upstream), each time with empty caches, and every question is asked over HTTP of the
// model `permutation`. Who answered, how sure the student was, the seconds that models took and the dollars
// are what the answer's report says. Dollars are of --student-usd and --teacher-usd, a million tokens in
// and out.
//
// First each model answers everything. Then each fifth of a set is asked with the threshold that the other four
// choose (routing_fit.h: the lowest that keeps the target in --sure of the resampled questions): the row `router`
// is of questions that their threshold wasn't chosen by. `escalate N%`:
// computed from both models' answers, with the N% where the student is least sure put to the teacher. The
// line: what a random share of the questions would give for the same dollars. Intervals are at 95%:
// Wilson's, or of a paired bootstrap.
//
// Reliability: the student's confidence in fifths, beside the share that it had right and what isotonic
// regression of the other fifths of the questions says.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include <fmt/format.h>
#include <unistd.h>

#include "evals/routing_fit.h"
#include "evals/routing_questions.h"
#include "evals/routing_report.h"
#include "lab/measure.h"
#include "lab/server_process.h"
#include "net/http_client.h"

namespace pmt::evals {
using namespace lab;
namespace {

using json = nlohmann::json;

constexpr double kAlways = 2;  // a confidence that no student has

struct Settings {
  std::string binary, student, teacher, upstream_url;
  double keep = 0.95, sure = 0.8;
  std::vector<std::string> student_usd, teacher_usd;
  unsigned seed = 1;
  bool verbose = false;
};

/// A file of its own, removed again.
class ConfigFile {
 public:
  explicit ConfigFile(const std::string& text) {
    path_ = std::filesystem::temp_directory_path() / fmt::format("pmt-routing-{}.toml", getpid());
    std::ofstream(path_) << text;
  }
  ~ConfigFile() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

std::string price_table(const std::string& model, const std::vector<std::string>& usd) {
  return fmt::format("[prices.\"{}\"]\ninput_per_mtok = {}\noutput_per_mtok = {}\n", model, usd.at(0),
                     usd.at(1));
}

/// Above 1: the teacher is always asked.
std::string config_of(const Settings& set, double confidence_min) {
  const bool local = set.upstream_url.empty();
  const std::string teacher = local ? served_name(set.teacher) : "t/" + set.teacher;
  return model_table(set.student) +
         (local ? model_table(set.teacher)
                : fmt::format("[[upstream]]\nname = \"t\"\nbase_url = \"{}/v1\"\nmodels = [\"{}\"]\n",
                              set.upstream_url, set.teacher)) +
         price_table(served_name(set.student), set.student_usd) + price_table(teacher, set.teacher_usd) +
         fmt::format(
             "[permutation]\nstudent = \"{}\"\nteacher = \"{}\"\nescalation = \"{}\"\n"
             "confidence_min = {}\nprobe_tokens = 0\n",
             served_name(set.student), teacher, confidence_min > 1 ? "always" : "confidence",
             std::min(confidence_min, 1.));
}

std::string few_shot(const std::string& question) {
  return "Question: who painted the Mona Lisa?\nAnswer: Leonardo da Vinci\n\n"
         "Question: what is the currency of Japan?\nAnswer: yen\n\n"
         "Question: The Eiffel Tower is located in ...?\nAnswer: Paris\n\n"
         "Question: What kind of work does Marie Curie do?\nAnswer: physicist\n\n"
         "Question: " +
         question + "\nAnswer:";
}

struct Asked {
  RoutedAnswer answer;
  double confidence = 0;
};

Asked ask(net::HttpClient& client, const RoutingQuestion& question, RoutingJudge& judge, bool verbose) {
  json body = {{"model", "permutation"},
               {"temperature", 0},
               {"max_tokens", question.max_tokens},
               {"permutation", {{"trace", true}}}};
  if (question.few_shot) {
    body["prompt"] = few_shot(question.text);
    body["stop"] = {"\n"};
  } else {
    body["messages"] = {{{"role", "user"}, {"content", question.text}}};
  }
  const auto response =
      need(client.request("POST", question.few_shot ? "/v1/completions" : "/v1/chat/completions",
                          {{"content-type", "application/json"}}, body.dump()));
  if (response.status != 200) fail(response.body);
  const json all = json::parse(response.body);
  const json& choice = all["choices"][0];
  const std::string said = question.few_shot ? choice["text"] : choice["message"]["content"];
  const json& engine = all["permutation"]["engine"];
  Asked asked{.answer = {.right = judge.is_right(question, said),
                         .by_teacher = engine["metadata"]["answered_by"] == "teacher",
                         .usd = engine["metadata"]["cost"]}};
  for (const json& step : engine["trace"]["steps"]) {
    if (step["component"] == "student" || step["component"] == "teacher")
      asked.answer.seconds += step["duration_ms"].get<double>() / 1e3;
  }
  const json& quality = engine["metadata"]["quality_score"];
  asked.confidence = quality.is_number() ? quality.get<double>() : 0;
  if (verbose)
    progress(fmt::format("{} {} {:.3f} \"{}\" said \"{}\"", asked.answer.right ? "right" : "WRONG",
                         asked.answer.by_teacher ? "teacher" : "student", asked.confidence, question.text,
                         said));
  return asked;
}

std::vector<Asked> ask_all(const Settings& set, double confidence_min,
                           const std::vector<RoutingQuestion>& questions, RoutingJudge& judge) {
  const ConfigFile config(config_of(set, confidence_min));
  const auto server = need(ServerProcess::start(set.binary, {"--config", config.path()}));
  const auto client = need(net::HttpClient::connect(server->url(), 300));
  std::vector<Asked> out;
  for (const RoutingQuestion& question : questions) {
    out.push_back(ask(*client, question, judge, set.verbose));
    if (out.size() % 20 == 0)
      progress(fmt::format("confidence_min {:.3f}: {} of {}", confidence_min, out.size(), questions.size()));
  }
  return out;
}

/// Has each part asked with the threshold of the others, and tells of the set.
void ask_routed(const Settings& set, const std::vector<RoutingQuestion>& questions, RoutedSet routed_set,
                RoutingJudge& judge, Result& result) {
  routed_set.router.resize(questions.size());
  int differ = 0;
  for (std::size_t part = 0; part < kRoutedParts && part < questions.size(); ++part) {
    std::vector<BothAnswers> other;
    std::vector<RoutingQuestion> mine;
    for (std::size_t i = 0; i < questions.size(); ++i) {
      if (i % kRoutedParts == part) mine.push_back(questions[i]);
      if (i % kRoutedParts != part) other.push_back(routed_set.both[i]);
    }
    const double threshold = threshold_for(other, set.keep, set.sure, set.seed);
    routed_set.thresholds.push_back(std::round(1e3 * threshold) / 1e3);
    const std::vector<Asked> asked = ask_all(set, threshold, mine, judge);
    for (std::size_t i = 0; i < asked.size(); ++i) {
      const std::size_t at = kRoutedParts * i + part;
      const RoutedAnswer& answer = routed_set.router[at] = asked[i].answer;
      const RoutedAnswer computed = routed(routed_set.both[at], threshold);
      differ += computed.right != answer.right || computed.by_teacher != answer.by_teacher ? 1 : 0;
    }
  }
  report_set(routed_set, result);
  progress(fmt::format("{}: of all of its questions confidence_min = {:.3f}", routed_set.name,
                       threshold_for(routed_set.both, set.keep, set.sure, set.seed)));
  result.targets.push_back({.what = routed_set.name + ": served answers that differ from what was computed",
                            .asked = "0",
                            .measured = static_cast<double>(differ),
                            .holds = differ == 0});
}

void ask_sets(const Settings& set, const std::vector<RoutingQuestion>& all, Result& result) {
  RoutingJudge judge;
  const std::vector<Asked> student = ask_all(set, 0, all, judge), teacher = ask_all(set, kAlways, all, judge);
  struct Kind {
    std::vector<RoutingQuestion> questions;
    RoutedSet set;
  };
  std::map<std::string, Kind> kinds;
  for (std::size_t i = 0; i < all.size(); ++i) {
    Kind& kind = kinds[all[i].set];
    kind.questions.push_back(all[i]);
    kind.set.both.push_back(
        {.student = student[i].answer, .teacher = teacher[i].answer, .confidence = student[i].confidence});
  }
  for (auto& [name, kind] : kinds) {
    kind.set.name = name, kind.set.keep = set.keep, kind.set.seed = set.seed;
    ask_routed(set, kind.questions, std::move(kind.set), judge, result);
  }
}

std::vector<RoutingQuestion> take_questions(std::vector<std::string>& args, unsigned seed) {
  const std::string data = take_value(args, "--data", "data"), file = take_value(args, "--questions", "");
  const auto sets = split(take_value(args, "--sets", "arithmetic,code,articles"));
  const auto items = split(take_value(args, "--items", "60"));
  if (!file.empty()) return read_questions(file);
  std::vector<RoutingQuestion> all;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    const auto drawn = draw_questions(sets[i], data, std::stoi(items[std::min(i, items.size() - 1)]), seed);
    all.insert(all.end(), drawn.begin(), drawn.end());
  }
  return all;
}

int run(const std::string& self, std::vector<std::string> args) {
  const char* embedded = std::getenv("PERMUTATION_MODEL");
  Settings set;
  Result result;
  const bool as_json = take_flag(args, "--json"), http = take_flag(args, "--http");
  set.verbose = take_flag(args, "--verbose");
  set.student = take_value(args, "--student", embedded == nullptr ? "" : embedded);
  set.teacher = take_value(args, "--teacher", "qwen2.5-coder-1.5b-instruct");
  set.keep = std::stod(take_value(args, "--keep", "0.95"));
  set.sure = std::stod(take_value(args, "--sure", "0.8"));
  set.student_usd = split(take_value(args, "--student-usd", "0,0"));
  set.teacher_usd = split(take_value(args, "--teacher-usd", "1,2"));
  result.name = "eval routing";
  result.seed = std::stoi(take_value(args, "--seed", "1"));
  set.seed = static_cast<unsigned>(result.seed);
  const std::vector<RoutingQuestion> questions = take_questions(args, set.seed);
  if (set.student.empty() || !args.empty()) {
    progress(
        "usage: ./dev eval routing [--student NAME|FILE] [--teacher NAME] [--http] [--sets A,B] [--items N,M] "
        "[--questions FILE] [--data DIR] [--keep 0.95] [--sure 0.8] [--student-usd 0,0] [--teacher-usd 1,2] "
        "[--seed S] [--verbose] [--json]");
    return 2;
  }
  set.binary =
      (std::filesystem::path(self).parent_path().parent_path() / "src" / "app" / "permutation").string();
  std::unique_ptr<ServerProcess> upstream;
  if (http) {
    upstream = need(ServerProcess::start(set.binary, {"--model", set.teacher}));
    set.upstream_url = upstream->url();
  }
  progress(fmt::format("{} questions, student {}, teacher {}", questions.size(), served_name(set.student),
                       set.teacher));
  ask_sets(set, questions, result);
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::run(argv[0], {argv + 1, argv + argc});
}
