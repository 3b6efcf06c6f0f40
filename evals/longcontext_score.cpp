#include "evals/longcontext_score.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "text/plain_words.h"

namespace pmt::evals {
namespace {

constexpr double kOffByOne = 0.75;
constexpr std::size_t kTenthsMin = 10;  // of fewer answers the ninth tenth says nothing

std::string head_of(const std::string& said) {
  const std::string line = said.substr(0, said.find('\n'));
  return line.substr(0, line.find(" ("));
}

/// The whole numbers of a text, without the commas of thousands.
std::vector<std::string> numbers_in(const std::string& text) {
  std::vector<std::string> out;
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool digit = std::isdigit(static_cast<unsigned char>(text[i])) != 0;
    if (digit && !inside) out.emplace_back();
    if (digit) out.back() += text[i];
    const bool comma =
        text[i] == ',' && i + 1 < text.size() && std::isdigit(static_cast<unsigned char>(text[i + 1])) != 0;
    inside = digit || (inside && comma);
  }
  return out;
}

std::optional<std::string> named_first(const std::vector<std::string>& choices, const std::string& text) {
  for (const std::string& word : text::plain_words(text)) {
    if (std::ranges::find(choices, word) != choices.end()) return word;
  }
  return std::nullopt;
}

double rounded(double value, double scale) {
  return std::round(value * scale) / scale;
}

}  // namespace

bool is_right(const LongItem& item, const std::string& said) {
  const std::string head = head_of(said);
  const auto numbers = numbers_in(head);
  switch (item.kind) {
    case LongAnswer::kNeedle:
      return std::ranges::find(numbers, item.wanted) != numbers.end();
    case LongAnswer::kCount:
      return !numbers.empty() && numbers.front() == item.wanted && !said.starts_with("Not in");
    case LongAnswer::kChoice:
      return !said.starts_with("Not in") && named_first(item.choices, head) == item.wanted;
  }
  return false;
}

double credit_of(const LongItem& item, const std::string& said) {
  if (is_right(item, said)) return 1;
  const auto numbers = numbers_in(head_of(said));
  if (item.kind != LongAnswer::kCount || numbers.empty() || said.starts_with("Not in")) return 0;
  return std::pow(kOffByOne, std::abs(std::strtod(numbers.front().c_str(), nullptr) -
                                      std::strtod(item.wanted.c_str(), nullptr)));
}

void LongScores::add(const Where& where, const LongItem& item, const LongReply& reply) {
  if (!reply.given_up.empty()) return note(where, reply.given_up);
  Row& row = rows_[{where.task, where.length, where.arm}];
  const bool right = is_right(item, reply.text);
  ++row.n;
  row.right += right ? 1 : 0;
  row.credit += credit_of(item, reply.text);
  row.prompt += reply.prompt_tokens, row.cached += reply.cached_tokens, row.written += reply.written_tokens;
  row.calls += reply.calls;
  row.seconds.push_back(reply.seconds);
  auto& [kind_right, kind_of] = row.kinds[item.task];
  kind_right += right ? 1 : 0;
  ++kind_of;
}

void LongScores::note(const Where& where, const std::string& what) {
  std::string& note = rows_[{where.task, where.length, where.arm}].note;
  note += (note.empty() ? "" : "; ") + what;
}

LongScores::Figures LongScores::figures(const Where& where) const {
  const auto found = rows_.find({where.task, where.length, where.arm});
  if (found == rows_.end() || found->second.n == 0) return {};
  return {.n = found->second.n, .right = found->second.right, .s_median = lab::median(found->second.seconds)};
}

void LongScores::add_rows(lab::Result& result) const {
  for (const auto& [where, row] : rows_) {
    nlohmann::ordered_json out = {{"task", std::get<0>(where)},
                                  {"length", std::get<1>(where)},
                                  {"arm", std::get<2>(where)},
                                  {"asked", row.n}};
    const double n = std::max(1., row.n);
    std::vector<double> seconds = row.seconds;
    std::ranges::sort(seconds);
    const auto [low, high] = lab::wilson(row.right, row.n);
    std::string kinds;
    for (const auto& [kind, counts] : row.kinds)
      kinds += fmt::format("{}{} {}/{}", kinds.empty() ? "" : ", ", kind, counts.first, counts.second);
    out["right"] = row.right;
    out["ci95"] = fmt::format("{:.2f}-{:.2f}", low, high);
    out["credit"] = rounded(row.credit / n, 1e3);
    out["s_median"] = out["s_p90"] = nullptr;
    if (!seconds.empty()) {
      out["s_median"] = rounded(lab::median(seconds), 1e2);
      if (seconds.size() >= kTenthsMin) out["s_p90"] = rounded(lab::percentile(seconds, 0.9), 1e2);
    }
    out["prompt_tokens"] = std::round(row.prompt / n);
    out["of them from the prefix cache"] = std::round(row.cached / n);
    out["written_tokens"] = std::round(row.written / n);
    out["calls"] = rounded(row.calls / n, 10);
    out["by kind"] = kinds;
    out["not run"] = row.note;
    result.rows.push_back(std::move(out));
  }
}

}  // namespace pmt::evals
