// ./dev eval routing [--data DIR] [--items N] [--sets A,B] [--thresholds 0.3,0.5] [--seed S]
// [--teacher MODEL] [--json]: what the engine's router is worth. Accuracy against cost for never, always and by-confidence
// escalation, on real questions: --items of each set.
//
// The real thing runs: for each policy a fresh `permutation serve` with its own empty caches, the student in
// it, and as teacher an upstream: a second `permutation serve` with another model, over HTTP. Every question
// is asked over HTTP of the model `permutation`; who answered and what it cost is what the answer's report
// says.
//
// The teacher here is the other small model of the catalogue, Gemma 3 270M (a base model, Q4_K_M), twice the
// student's size: the largest that this project can fetch. Both get the same four-shot prompt by
// /v1/completions. A real teacher is far stronger; what carries over is whether the student's confidence
// tells its right answers from its wrong ones.
//
// A question counts as right when the answer's first line holds one of the gold answers, in words, case and
// accents apart. Cost is the dollars of the report; the teacher's price is a stand-in ($1 and $2 a million
// tokens, in and out), the student is free. The line: what escalating a random share of the questions gives.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include <fmt/format.h>
#include <unistd.h>

#include "lab/measure.h"
#include "lab/server_process.h"
#include "net/http_client.h"
#include "text/plain_words.h"

namespace pmt::evals {
using namespace lab;
namespace {

using json = nlohmann::json;

struct Question {
  std::string set, text;
  std::vector<std::string> answers;
};

struct Outcome {
  bool right = false;
  bool by_teacher = false;
  double usd = 0;
  double seconds = 0;
};

json read_json(const std::filesystem::path& file) {
  std::ifstream in(file);
  json value = json::parse(in, nullptr, false);
  if (value.is_discarded())
    fail(fmt::format("can't read {}; --data DIR names the folder with the data sets", file.string()));
  return value;
}

std::vector<Question> read_set(const std::string& set, const std::filesystem::path& data) {
  std::vector<Question> out;
  if (set == "webquestions") {
    for (const json& item : read_json(data / set / "test.json"))
      out.push_back({set, item.at("qText"), item.at("answers")});
  } else if (set == "entityquestions") {
    for (const auto& file : std::filesystem::directory_iterator(data / set / "dev")) {
      const json items = read_json(file.path());
      for (const json& item : items) out.push_back({set, item.at("question"), item.at("answers")});
    }
  } else if (set == "rome_known") {
    for (const json& item : read_json(data / set / "known_1000.json"))
      out.push_back({set, item.at("prompt").get<std::string>() + " ...?", {item.at("attribute")}});
  } else {
    progress("error: no set " + set + "; there are: webquestions, entityquestions, rome_known");
    std::exit(2);
  }
  // A folder is listed in no order.
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.text < b.text; });
  return out;
}

std::vector<Question> draw(const std::vector<std::string>& sets, const std::filesystem::path& data, int items,
                           int seed) {
  std::vector<Question> out;
  std::mt19937 random(static_cast<unsigned>(seed));
  for (const std::string& set : sets) {
    std::vector<Question> all = read_set(set, data);
    std::shuffle(all.begin(), all.end(), random);
    all.resize(std::min(all.size(), static_cast<std::size_t>(items)));
    out.insert(out.end(), all.begin(), all.end());
  }
  return out;
}

bool is_right(const Question& question, const std::string& said) {
  const std::string text = text::plain_text(said);
  return std::any_of(question.answers.begin(), question.answers.end(), [&](const std::string& answer) {
    const std::string wanted = text::plain_text(answer);
    return wanted.size() > 1 && text.find(wanted) != std::string::npos;
  });
}

std::string prompt_of(const Question& question) {
  return "Question: who painted the Mona Lisa?\nAnswer: Leonardo da Vinci\n\n"
         "Question: what is the currency of Japan?\nAnswer: yen\n\n"
         "Question: The Eiffel Tower is located in ...?\nAnswer: Paris\n\n"
         "Question: What kind of work does Marie Curie do?\nAnswer: physicist\n\n"
         "Question: " +
         question.text + "\nAnswer:";
}

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

struct Policy {
  std::string escalation;
  double confidence_min = 0;
  std::string name() const {
    return escalation == "confidence" ? fmt::format("confidence {:.2f}", confidence_min) : escalation;
  }
};

std::vector<Outcome> run_policy(const Policy& policy, const std::vector<Question>& questions,
                                const std::string& binary, const std::string& student,
                                const std::string& teacher_url, const std::string& teacher) {
  const ConfigFile config(fmt::format(
      "[[model]]\npath = \"{}\"\n[[upstream]]\nname = \"t\"\nbase_url = \"{}/v1\"\nmodels = {{ big = \"{}\" "
      "}}\n"
      "[prices.\"t/big\"]\ninput_per_mtok = 1\noutput_per_mtok = 2\n"
      "[permutation]\nteacher = \"t/big\"\nescalation = \"{}\"\nconfidence_min = {}\nprobe_tokens = 0\n",
      student, teacher_url, teacher, policy.escalation, policy.confidence_min));
  const auto server = need(ServerProcess::start(binary, {"--config", config.path()}));
  const auto client = need(net::HttpClient::connect(server->url(), 300));
  std::vector<Outcome> out;
  for (const Question& question : questions) {
    const json body = {{"model", "permutation"},
                       {"prompt", prompt_of(question)},
                       {"temperature", 0},
                       {"max_tokens", 16},
                       {"stop", {"\n"}}};
    const Stopwatch watch;
    const auto response =
        need(client->request("POST", "/v1/completions", {{"content-type", "application/json"}}, body.dump()));
    if (response.status != 200) {
      progress("error: " + response.body);
      std::exit(1);
    }
    const json answer = json::parse(response.body);
    const json& metadata = answer["permutation"]["engine"]["metadata"];
    out.push_back({.right = is_right(question, answer["choices"][0]["text"]),
                   .by_teacher = metadata["answered_by"] == "teacher",
                   .usd = metadata["cost"],
                   .seconds = watch.seconds()});
    if (out.size() % 20 == 0)
      progress(fmt::format("{}: {} of {}", policy.name(), out.size(), questions.size()));
  }
  return out;
}

struct Point {
  double accuracy = 0, usd = 0;
};

Point mean_of(const std::vector<Outcome>& outcomes, const std::vector<std::size_t>& which) {
  Point sum;
  for (const std::size_t i : which) {
    sum.accuracy += outcomes[i].right ? 1 : 0;
    sum.usd += outcomes[i].usd;
  }
  const auto n = static_cast<double>(which.size());
  return {sum.accuracy / n, sum.usd / n};
}

/// How far `at` lies above the line from `never` to `always`, in accuracy.
double above_line(Point at, Point never, Point always) {
  const double share = always.usd > never.usd ? (at.usd - never.usd) / (always.usd - never.usd) : 0;
  return at.accuracy - (never.accuracy + share * (always.accuracy - never.accuracy));
}

struct Interval {
  double low, high;
};

/// Paired bootstrap over questions.
template <class F>
Interval bootstrap(std::size_t n, int seed, F&& statistic) {
  std::mt19937 random(static_cast<unsigned>(seed));
  std::uniform_int_distribution<std::size_t> pick(0, n - 1);
  std::vector<double> values;
  std::vector<std::size_t> which(n);
  for (int round = 0; round < 2000; ++round) {
    for (std::size_t& i : which) i = pick(random);
    values.push_back(statistic(which));
  }
  std::sort(values.begin(), values.end());
  return {values[49], values[1949]};
}

int run(const std::string& self, std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  const std::string data = take_value(args, "--data", "data");
  const auto sets = split(take_value(args, "--sets", "webquestions,entityquestions,rome_known"));
  const auto thresholds = split(take_value(args, "--thresholds", "0.3,0.45,0.6,0.75"));
  const int items = std::stoi(take_value(args, "--items", "300"));
  const std::string teacher = take_value(args, "--teacher", "gemma3-270m");
  Result result;
  result.name = "eval routing";
  result.seed = std::stoi(take_value(args, "--seed", "1"));
  const char* student = std::getenv("PERMUTATION_MODEL");
  if (student == nullptr || !args.empty()) {
    progress(
        "usage: ./dev eval routing [--data DIR] [--items N] [--sets A,B] [--thresholds 0.3,0.6] [--seed S] "
        "[--teacher MODEL] [--json]");
    return 2;
  }
  const std::string binary =
      (std::filesystem::path(self).parent_path().parent_path() / "src" / "app" / "permutation").string();
  const auto questions = draw(sets, data, items, result.seed);
  const auto upstream = need(ServerProcess::start(binary, {"--model", teacher}));
  progress(fmt::format("{} questions; the teacher is {} in a second server", questions.size(), teacher));

  std::vector<Policy> policies = {{"never"}, {"always"}};
  for (const std::string& threshold : thresholds) policies.push_back({"confidence", std::stod(threshold)});
  std::vector<std::vector<Outcome>> outcomes;
  for (const Policy& policy : policies)
    outcomes.push_back(run_policy(policy, questions, binary, student, upstream->url(), teacher));

  std::vector<std::size_t> all(questions.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  const Point never = mean_of(outcomes[0], all), always = mean_of(outcomes[1], all);
  int above = 0;
  for (std::size_t p = 0; p < policies.size(); ++p) {
    const Point at = mean_of(outcomes[p], all);
    const auto accuracy_ci = bootstrap(
        all.size(), result.seed, [&](const auto& which) { return mean_of(outcomes[p], which).accuracy; });
    const auto line_ci = bootstrap(all.size(), result.seed, [&](const auto& which) {
      return above_line(mean_of(outcomes[p], which), mean_of(outcomes[0], which),
                        mean_of(outcomes[1], which));
    });
    double escalated = 0, seconds = 0;
    for (const Outcome& o : outcomes[p]) {
      escalated += o.by_teacher ? 1 : 0;
      seconds += o.seconds;
    }
    const double gain = above_line(at, never, always);
    nlohmann::ordered_json row;
    row["policy"] = policies[p].name();
    row["teacher"] = teacher + " (base, second server)";
    row["n"] = questions.size();
    row["accuracy"] = at.accuracy;
    row["ci95"] = {accuracy_ci.low, accuracy_ci.high};
    row["usd_per_1000"] = at.usd * 1000;
    row["escalated"] = escalated / static_cast<double>(questions.size());
    row["s_per_question"] = seconds / static_cast<double>(questions.size());
    row["above_line"] = gain;
    row["above_line_ci95"] = {line_ci.low, line_ci.high};
    result.rows.push_back(std::move(row));
    if (policies[p].escalation != "confidence") continue;
    above += gain > 0 ? 1 : 0;
  }
  result.targets.push_back({.what = "points of the router's curve above the straight line",
                            .asked = fmt::format("all {}", thresholds.size()),
                            .measured = static_cast<double>(above),
                            .holds = above == static_cast<int>(thresholds.size())});
  const auto mean_height = [&](const std::vector<std::size_t>& which) {
    const Point low = mean_of(outcomes[0], which), high = mean_of(outcomes[1], which);
    double sum = 0;
    for (std::size_t p = 2; p < policies.size(); ++p)
      sum += above_line(mean_of(outcomes[p], which), low, high);
    return sum / static_cast<double>(thresholds.size());
  };
  const auto height_ci = bootstrap(all.size(), result.seed, mean_height);
  nlohmann::ordered_json mean;
  mean["policy"] = "mean of the router's points";
  mean["n"] = questions.size();
  mean["above_line"] = mean_height(all);
  mean["above_line_ci95"] = {height_ci.low, height_ci.high};
  result.rows.push_back(std::move(mean));
  result.targets.push_back({.what = "mean height above the line, in accuracy: the 95% interval's lower end",
                            .asked = "> 0",
                            .measured = height_ci.low,
                            .holds = height_ci.low > 0});
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::run(argv[0], {argv + 1, argv + argc});
}
