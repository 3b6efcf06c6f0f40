#include "evals/compression_record.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <tuple>
#include <utility>

#include <fmt/format.h>

namespace pmt::evals {
using namespace lab;
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

std::string key_of(const std::string& task, int item, const Setting& setting) {
  return fmt::format("{}/{}/{}/{}", task, item, setting.mode, setting.ratio);
}

json line_of(const Answer& a) {
  return {{"task", a.task},         {"item", a.item},           {"question", a.question},
          {"mode", a.setting.mode}, {"ratio", a.setting.ratio}, {"ratio_achieved", a.ratio_achieved},
          {"full", a.full_solved},  {"solved", a.solved},       {"full_logprob", a.full_logprob},
          {"logprob", a.logprob},   {"agreed", a.agreed}};
}

Answer answer_of(const json& line) {
  return {
      line.at("task"),           line.at("item"),  line.at("question"), {line.at("mode"), line.at("ratio")},
      line.at("ratio_achieved"), line.at("full"),  line.at("solved"),   line.at("full_logprob"),
      line.at("logprob"),        line.at("agreed")};
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

/// 95% interval of mean(above) / mean(below), which belong together item by item, by bootstrap with
/// a fixed seed.
std::pair<double, double> ratio_interval(const std::vector<double>& above, const std::vector<double>& below) {
  if (above.empty()) return {0, 0};
  std::mt19937 rng(1);
  std::vector<double> ratios(2000);
  for (double& each : ratios) {
    double up = 0, down = 0;
    for (std::size_t i = 0; i < above.size(); ++i) {
      const std::size_t at = rng() % above.size();
      up += above[at];
      down += below[at];
    }
    each = down > 0 ? up / down : 1;
  }
  std::sort(ratios.begin(), ratios.end());
  return {ratios[49], ratios[1949]};
}

ordered_json row_of(const std::string& task, const std::string& mode, double ratio,
                    const std::vector<const Answer*>& answers) {
  const bool is_text = task == "perplexity";
  std::vector<double> kept, change, agreed, full, achieved, solved;
  for (const Answer* a : answers) {
    change.push_back(a->logprob - a->full_logprob);
    agreed.push_back(a->agreed);
    achieved.push_back(a->ratio_achieved);
    full.push_back(is_text ? std::exp(-a->full_logprob) : a->full_solved ? 1 : 0);
    solved.push_back(a->solved ? 1 : 0);
    if (is_text) {
      kept.push_back(std::exp(change.back()));  // full perplexity / compressed perplexity
    } else if (a->full_solved) {
      kept.push_back(a->solved ? 1 : 0);
    }
  }
  const double rate = mean(kept);
  const auto n = static_cast<double>(kept.size());
  const auto [low, high] =
      is_text ? ratio_interval(kept, std::vector<double>(kept.size(), 1)) : wilson(rate * n, n);
  const double accuracy = mean(solved);
  const double whole = mean(full);
  const auto [worst, best] =
      is_text || whole == 0 ? std::pair<double, double>{0, 0} : ratio_interval(solved, full);
  return {{"task", task},
          {"mode", mode},
          {"ratio", ratio},
          {"ratio_achieved", mean(achieved)},
          {"n", kept.size()},
          {"asked", answers.size()},
          {"full", whole},
          {"score", is_text ? (rate > 0 ? whole / rate : 0) : accuracy},
          {"kept", rate},
          {"ci95", {low, high}},
          {"of_full", is_text     ? rate
                      : whole > 0 ? accuracy / whole
                                  : 0},
          {"of_full_ci95", {is_text ? low : worst, is_text ? high : best}},
          {"logprob_change", mean(change)},
          {"top1_agreement", mean(agreed)}};
}

/// The table: tasks, then what is asked at 8x and at 64x.
struct Asked {
  std::vector<std::string> tasks;
  std::string mode;  // "": both
  const char* column;
  double at_8, at_64;
};
const std::vector<Asked>& asked_table() {
  static const std::vector<Asked> table = {
      {{"needle_1400", "needle_3200"}, "query_agnostic", "kept", .97, .90},
      {{"needle_1400", "needle_3200"}, "query_aware", "kept", .97, .95},
      {{"longeval"}, "", "kept", .95, .90},
      {{"xquad"}, "", "kept", .95, .60},
      {{"perplexity"}, "", "kept", .98, .90},
      {{"perplexity"}, "", "top1_agreement", .94, .86},
      {{"many_questions"}, "", "kept", .95, .80},
      {{"instructions", "not_leaked"}, "", "kept", .98, .90}};
  return table;
}

}  // namespace

base::Status CompressionRecord::open(const std::string& path, int seed, bool only_read) {
  if (path.empty()) return {};
  std::vector<std::string> lines;
  {
    std::ifstream old(path);
    for (std::string line; std::getline(old, line) && !old.eof();) lines.push_back(line);
  }
  const std::string header = json{{"eval", "compression"}, {"seed", seed}, {"asks", "all"}}.dump();
  if (!lines.empty() && lines[0] != header)
    return base::Error{base::Code::kCorrupt,
                       path + " is not a record of this seed and version: name another file"};
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i] == header) continue;  // records of several processes, one after the other
    const json line = json::parse(lines[i], nullptr, false);
    if (line.is_discarded() || !line.contains("task"))
      return base::Error{base::Code::kCorrupt, fmt::format("{}: line {} is no answer", path, i + 1)};
    add(answer_of(line));
  }
  if (only_read) return {};
  file_.open(path, std::ios::trunc);
  file_ << header << '\n';
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (lines[i] != header) file_ << lines[i] << '\n';
  }
  file_.flush();
  if (!file_) return base::Error{base::Code::kIo, path + " can't be written"};
  return {};
}

void CompressionRecord::add(const Answer& answer) {
  answers_.push_back(answer);
  known_.insert(key_of(answer.task, answer.item, answer.setting));
  if (file_.is_open()) file_ << line_of(answer).dump() << std::endl;
}

bool CompressionRecord::has(const std::string& task, int item, const Setting& setting) const {
  return known_.contains(key_of(task, item, setting));
}

std::vector<ordered_json> CompressionRecord::rows() const {
  std::map<std::tuple<std::string, std::string, double>, std::vector<const Answer*>> groups;
  std::set<std::string> seen;
  for (const Answer& each : answers_) {
    const Setting& s = each.setting;
    if (!seen.insert(fmt::format("{}/{}", key_of(each.task, each.item, s), each.question)).second) continue;
    if (s.mode != "full") {
      groups[{each.task, s.mode, s.ratio}].push_back(&each);
      continue;
    }
    for (const char* mode : {"query_agnostic", "query_aware"}) groups[{each.task, mode, 1}].push_back(&each);
  }
  std::vector<ordered_json> out;
  for (const auto& [key, answers] : groups)
    out.push_back(row_of(std::get<0>(key), std::get<1>(key), std::get<2>(key), answers));
  return out;
}

std::vector<Target> compression_targets(const std::vector<ordered_json>& rows) {
  std::vector<Target> out;
  for (const Asked& asked : asked_table()) {
    for (const ordered_json& row : rows) {
      const std::string task = row["task"];
      const std::string mode = row["mode"];
      const double ratio = row["ratio"];
      if (std::find(asked.tasks.begin(), asked.tasks.end(), task) == asked.tasks.end()) continue;
      if (!mode.starts_with("query_")) continue;  // a peer's
      if ((!asked.mode.empty() && asked.mode != mode) || (ratio != 8 && ratio != 64)) continue;
      const double want = ratio == 8 ? asked.at_8 : asked.at_64;
      const double got = row[asked.column];
      out.push_back({fmt::format("{} {} {}x: {}", task, mode, ratio, asked.column),
                     fmt::format(">= {}", want), got, got >= want});
    }
  }
  return out;
}

}  // namespace pmt::evals
