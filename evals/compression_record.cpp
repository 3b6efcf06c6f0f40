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

/// Lengths of prompts that are told apart: powers of two from here on.
constexpr std::int64_t kShortestTokens = 1024;

std::string key_of(const Asked& asked, const Setting& setting) {
  return fmt::format("{}/{}/{}/{}/{}/{}", asked.task, asked.tokens, asked.item, asked.question, setting.mode,
                     setting.ratio);
}

/// true and false but for a share: as records were before there were any.
json solved(double score) {
  return score == 0 || score == 1 ? json(score == 1) : json(score);
}

double score_in(const json& line, const char* name) {
  const json& found = line.at(name);
  return found.is_boolean() ? (found.get<bool>() ? 1 : 0) : found.get<double>();
}

json line_of(const Answer& a) {
  return {{"task", a.asked.task},
          {"tokens", a.asked.tokens},
          {"item", a.asked.item},
          {"question", a.asked.question},
          {"mode", a.setting.mode},
          {"ratio", a.setting.ratio},
          {"ratio_achieved", a.ratio_achieved},
          {"full", solved(a.full)},
          {"solved", solved(a.score)},
          {"came_to", a.mode},
          {"found", a.found},
          {"prompt_tokens", a.prompt_tokens},
          {"prefix_tokens_reused", a.prefix_tokens_reused}};
}

/// Others' methods (evals/peers) have no modes and no tokens of ours.
Answer answer_of(const json& line) {
  return {.asked = {.task = line.at("task"),
                    .tokens = line.value("tokens", 0),
                    .item = line.at("item"),
                    .question = line.at("question")},
          .setting = {line.at("mode"), line.at("ratio")},
          .mode = line.value("came_to", ""),
          .found = line.value("found", "none"),
          .ratio_achieved = line.at("ratio_achieved"),
          .prompt_tokens = line.value("prompt_tokens", 0),
          .prefix_tokens_reused = line.value("prefix_tokens_reused", 0),
          .full = score_in(line, "full"),
          .score = score_in(line, "solved")};
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

struct Counted {
  std::vector<double> full, solved;  // from 0 to 1, question by question
  double exact_right = 0, kept_right = 0, right = 0, achieved = 0, found = 0;
  double kept() const { return exact_right > 0 ? kept_right / exact_right : 0; }
};

Counted count(const std::vector<const Answer*>& answers) {
  Counted out;
  for (const Answer* a : answers) {
    out.full.push_back(a->full);
    out.solved.push_back(a->score);
    out.exact_right += a->full;
    out.kept_right += std::min(a->full, a->score);
    out.right += a->score;
    out.achieved += a->ratio_achieved / static_cast<double>(answers.size());
    out.found += a->found == "none" ? 0 : 1;
  }
  return out;
}

ordered_json row_of(const std::vector<const Answer*>& answers) {
  const Counted all = count(answers);
  const Asked& asked = answers.front()->asked;
  // Of shares Wilson's interval is a little wide: a share varies less than right and wrong do.
  const auto [low, high] = wilson(all.kept_right, all.exact_right);
  const auto [worst, best] =
      all.exact_right == 0 ? std::pair<double, double>{0, 0} : ratio_interval(all.solved, all.full);
  return {{"task", asked.task},
          {"tokens", asked.tokens == 0 ? ordered_json() : ordered_json(asked.tokens)},
          {"mode", answers.front()->setting.mode},
          {"ratio", answers.front()->setting.ratio},
          {"ratio_achieved", all.achieved},
          {"n", all.exact_right},
          {"asked", answers.size()},
          {"questions_found", all.found},
          {"full", mean(all.full)},
          {"score", mean(all.solved)},
          {"kept", all.kept()},
          {"ci95", {low, high}},
          {"of_full", all.exact_right > 0 ? all.right / all.exact_right : 0},
          {"of_full_ci95", {worst, best}}};
}

/// Whole unless shares are in it.
ordered_json counted(double sum) {
  constexpr double kParts = 1000;
  const double rounded = std::round(sum * kParts) / kParts;
  return rounded == std::round(rounded) ? ordered_json(std::llround(rounded)) : ordered_json(rounded);
}

/// [from, below) of the prompts' lengths that this one belongs to.
std::pair<std::int64_t, std::int64_t> bucket_of(std::int64_t tokens) {
  std::int64_t below = kShortestTokens;
  while (tokens >= below) below *= 2;
  return {below == kShortestTokens ? 0 : below / 2, below};
}

/// Tasks, then what is asked at 8x and at 64x.
struct Wish {
  std::vector<std::string> tasks;
  std::string mode;  // "": both
  const char* column;
  double at_8, at_64;
};
const std::vector<Wish>& wishes() {
  static const std::vector<Wish> table = {
      {{"needle_1400", "needle_3200"}, "query_agnostic", "kept", .97, .90},
      {{"needle_1400", "needle_3200"}, "query_aware", "kept", .97, .95},
      {{"longeval"}, "", "kept", .95, .90},
      {{"xquad"}, "", "kept", .95, .60},
      {{"many_questions"}, "", "kept", .95, .80},
      {{"instructions", "not_leaked"}, "", "kept", .98, .90}};
  return table;
}

/// Over all of RULER's kinds at 4K and 8K, as its own score is a mean over kinds.
std::vector<Target> ruler_targets(const std::vector<ordered_json>& rows) {
  struct RulerWish {
    const char* mode;
    double ratio, want;
  };
  constexpr RulerWish kWishes[] = {{"query_aware", 8, .98},
                                   {"query_aware", 64, .93},
                                   {"query_agnostic", 8, .95},
                                   {"query_agnostic", 64, .80}};
  constexpr int kTokensMax = 8192;
  std::vector<Target> out;
  for (const RulerWish& wish : kWishes) {
    double full = 0, score = 0;
    for (const ordered_json& row : rows) {
      if (!takes_tokens(row["task"]) || row["tokens"].get<int>() > kTokensMax) continue;
      if (row["mode"] != wish.mode || row["ratio"] != wish.ratio) continue;
      full += row["full"].get<double>();
      score += row["score"].get<double>();
    }
    if (full == 0) continue;
    out.push_back({fmt::format("RULER's kinds to 8K, {} {}x: of_full", wish.mode, wish.ratio),
                   fmt::format(">= {}", wish.want), score / full, score >= wish.want * full});
  }
  return out;
}

}  // namespace

base::Status CompressionRecord::open(const std::string& path, int seed, bool only_read) {
  if (path.empty()) return {};
  std::vector<std::string> lines;
  {
    std::ifstream old(path);
    for (std::string line; std::getline(old, line) && !old.eof();) lines.push_back(line);
  }
  const std::string header = json{{"eval", "compression"}, {"seed", seed}, {"asks", "requests"}}.dump();
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
  if (known_.try_emplace(key_of(answer.asked, answer.setting), answers_.size()).second)
    answers_.push_back(answer);
  if (file_.is_open()) file_ << line_of(answer).dump() << std::endl;
}

const Answer* CompressionRecord::find(const Asked& asked, const Setting& setting) const {
  const auto found = known_.find(key_of(asked, setting));
  return found == known_.end() ? nullptr : &answers_[found->second];
}

std::vector<ordered_json> CompressionRecord::rows() const {
  std::map<std::tuple<std::string, int, std::string, double>, std::vector<const Answer*>> groups;
  for (const Answer& each : answers_) {
    groups[{each.asked.task, each.asked.tokens, each.setting.mode, each.setting.ratio}].push_back(&each);
  }
  std::vector<ordered_json> out;
  for (const auto& [key, answers] : groups) out.push_back(row_of(answers));
  return out;
}

ordered_json CompressionRecord::results(const Provenance& of) const {
  std::map<std::tuple<std::string, int, std::int64_t, std::string, double>, std::vector<const Answer*>>
      groups;
  for (const Answer& each : answers_) {
    const Setting& s = each.setting;
    // What came to another mode (a short prompt, a full pool) measures nothing of this one.
    if (s.ratio <= 1 || !s.mode.starts_with("query_") || each.mode != s.mode) continue;
    groups[{each.asked.task, each.asked.tokens, bucket_of(each.prompt_tokens).first, s.mode, s.ratio}]
        .push_back(&each);
  }
  ordered_json rows = ordered_json::array();
  for (const auto& [key, answers] : groups) {
    const auto& [task, tokens, from, mode, ratio] = key;
    const Counted all = count(answers);
    const auto [low, high] = wilson(all.kept_right, all.exact_right);
    ordered_json row = {{"model", of.model_digest},
                        {"task", task},
                        {"unit", "questions"},
                        {"prompt_tokens", {from, bucket_of(from).second}},
                        {"mode", mode},
                        {"ratio", ratio},
                        {"by", "request"},
                        {"n", answers.size()},
                        {"exact_right", counted(all.exact_right)},
                        {"right", counted(all.right)},
                        {"kept_right", counted(all.kept_right)},
                        {"ratio_achieved", all.achieved},
                        {"interval", {low, high}},
                        {"commit", commit()},
                        {"machine", machine()},
                        {"date", of.date}};
    if (tokens > 0) row["tokens"] = tokens;
    rows.push_back(std::move(row));
  }
  return {{"schema", 1},
          {"models", {{of.model_digest, {{"name", of.model_name}, {"file_bytes", of.file_bytes}}}}},
          {"rows", std::move(rows)}};
}

std::vector<Target> compression_targets(const std::vector<ordered_json>& rows) {
  std::vector<Target> out = ruler_targets(rows);
  for (const Wish& asked : wishes()) {
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
