#include "rlm/tables/sentence_table.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <set>

#include "rlm/tables/cell_values.h"
#include "rlm/text_lines.h"
#include "text/calendar.h"
#include "text/plain_words.h"
#include "text/stop_words.h"

namespace pmt::rlm {
namespace {

using Tokens = std::vector<std::string_view>;

constexpr std::size_t kFrameSniffedBytes = 256 << 10, kFrameLineBytesMax = 4'000, kFrameLinesMax = 400,
                      kFrameLinesMin = 12, kFrameTokensMin = 3, kFrameTokensMax = 60, kTellingColumnsMin = 2;
/// "4 May 2026"; "May 4, 2026"; "2026-05-04": the longest that fits counts.
constexpr std::array<std::size_t, 3> kDayTokens = {3, 4, 5};

bool nine_of_ten(std::size_t these, std::size_t of) {
  return these * 10 >= of * 9;
}
bool nearly_all(std::size_t these, std::size_t of) {
  return these * 50 >= of * 49;
}

/// Words, and signs one by one.
void cut_tokens(std::string_view line, Tokens& tokens) {
  tokens.clear();
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t begin = at;
    while (at < line.size() && text::kPlainByte[static_cast<unsigned char>(line[at])] != 0) ++at;
    if (at == begin) ++at;
    if (line[begin] != ' ' && line[begin] != '\t') tokens.push_back(line.substr(begin, at - begin));
  }
}

bool is_word(std::string_view token) {
  return text::kPlainByte[static_cast<unsigned char>(token[0])] != 0;
}

/// A part of a number or of a day is a value, also where it is every line's: all of one year.
bool is_value(std::string_view token) {
  return token.find_first_not_of("0123456789") == std::string_view::npos ||
         !text::calendar_name(text::lower(token)).empty();
}

bool says_something(std::string_view token) {
  return is_word(token) && !text::is_stop_word(text::lower(token), text::StopUse::kSearch);
}

/// The longest sequence that both have.
Tokens common_tokens(const Tokens& a, const Tokens& b) {
  std::vector<std::vector<std::size_t>> lengths(a.size() + 1, std::vector<std::size_t>(b.size() + 1, 0));
  for (std::size_t i = a.size(); i-- > 0;) {
    for (std::size_t j = b.size(); j-- > 0;)
      lengths[i][j] =
          a[i] == b[j] ? lengths[i + 1][j + 1] + 1 : std::max(lengths[i + 1][j], lengths[i][j + 1]);
  }
  Tokens out;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i] == b[j]) {
      out.push_back(a[i]);
      ++i, ++j;
    } else {
      lengths[i + 1][j] >= lengths[i][j + 1] ? ++i : ++j;
    }
  }
  return out;
}

bool has_beside(const Tokens& line, std::string_view a, std::string_view b) {
  for (std::size_t i = 0; i + 1 < line.size(); ++i) {
    if (line[i] == a && line[i + 1] == b) return true;
  }
  return false;
}

/// Where `phrase` stands in line[from, to); npos: nowhere.
std::size_t find_phrase(const Tokens& line, const Tokens& phrase, std::size_t from, std::size_t to) {
  for (std::size_t at = from; at + phrase.size() <= std::min(to, line.size()); ++at) {
    if (std::equal(phrase.begin(), phrase.end(), line.begin() + static_cast<std::ptrdiff_t>(at))) return at;
  }
  return std::string_view::npos;
}

/// What all lines share, and what of a line lies between.
class Frame {
 public:
  bool learn(const std::vector<Tokens>& lines) {
    Tokens shared = shared_by(lines);
    if (shared.size() < kFrameTokensMin || !std::ranges::any_of(shared, says_something)) return false;
    cut_phrases(shared, lines);
    const auto begins = std::ranges::count_if(lines, [&](const Tokens& line) {
      return find_phrase(line, phrases_[0], 0, phrases_[0].size()) == 0;
    });
    const auto ends = std::ranges::count_if(lines, [&](const Tokens& line) { return ends_with_last(line); });
    at_begin_ = nine_of_ten(static_cast<std::size_t>(begins), lines.size());
    at_end_ = phrases_.size() > 1 && nine_of_ten(static_cast<std::size_t>(ends), lines.size());
    const auto fit = std::ranges::count_if(lines, [&](const Tokens& line) { return match(line); });
    return nine_of_ten(static_cast<std::size_t>(fit), lines.size()) &&
           telling_columns(lines) >= kTellingColumnsMin;
  }

  std::size_t columns() const { return phrases_.size() + 1 - (at_begin_ ? 1 : 0) - (at_end_ ? 1 : 0); }
  /// The phrases around a column; empty: none.
  const Tokens& before(std::size_t column) const { return at_begin_ ? phrase(column) : phrase(column - 1); }
  const Tokens& after(std::size_t column) const { return at_begin_ ? phrase(column + 1) : phrase(column); }
  const std::vector<Tokens>& phrases() const { return phrases_; }

  /// Whether the line has the frame; then cells() are its columns, [begin, end) of its tokens.
  bool match(const Tokens& line) {
    cells_.clear();
    if (at_end_ && !ends_with_last(line)) return false;
    const std::size_t end = at_end_ ? line.size() - phrases_.back().size() : line.size();
    std::size_t at = 0;
    for (std::size_t p = 0; p < phrases_.size(); ++p) {
      const bool last = at_end_ && p + 1 == phrases_.size();
      const std::size_t found = last ? end : find_phrase(line, phrases_[p], at, end);
      if (found == std::string_view::npos || found < at || (p == 0 && at_begin_ && found != 0)) return false;
      if (p > 0 || !at_begin_) cells_.emplace_back(at, found);
      at = found + phrases_[p].size();
    }
    if (!at_end_) cells_.emplace_back(at, line.size());
    return true;
  }
  const std::vector<std::pair<std::size_t, std::size_t>>& cells() const { return cells_; }

 private:
  const Tokens& phrase(std::size_t i) const {
    static const Tokens kNone;
    return i < phrases_.size() ? phrases_[i] : kNone;
  }

  /// Of the words that nearly every line has, the longest sequence that nearly every line has.
  static Tokens shared_by(const std::vector<Tokens>& lines) {
    std::map<std::string_view, std::size_t> held;
    for (const Tokens& line : lines) {
      for (const std::string_view token : std::set<std::string_view>(line.begin(), line.end())) ++held[token];
    }
    std::map<Tokens, std::size_t> sequences;
    for (const Tokens& line : lines) {
      Tokens some;
      for (const std::string_view token : line) {
        if (nine_of_ten(held[token], lines.size()) && !is_value(token)) some.push_back(token);
      }
      if (some.size() > kFrameTokensMax) return {};
      ++sequences[some];
    }
    Tokens shared =
        std::ranges::max_element(sequences, {}, [](const auto& one) { return one.second; })->first;
    std::vector<std::pair<std::size_t, Tokens>> others;
    for (const auto& [sequence, n] : sequences) others.emplace_back(n, sequence);
    std::ranges::sort(others, std::greater<>());
    std::size_t without = lines.size();
    for (const auto& [n, sequence] : others) {
      const Tokens common = common_tokens(shared, sequence);
      if (common.size() * 2 < shared.size()) continue;  // another kind of line
      without -= n;
      shared = common;
    }
    return nine_of_ten(lines.size() - without, lines.size()) ? shared : Tokens();
  }

  /// Those with words in most lines.
  std::size_t telling_columns(const std::vector<Tokens>& lines) {
    std::vector<std::size_t> told(columns(), 0);
    for (const Tokens& line : lines) {
      if (!match(line)) continue;
      for (std::size_t c = 0; c < told.size(); ++c) {
        const auto [begin, end] = cells_[c];
        told[c] += std::any_of(line.begin() + static_cast<std::ptrdiff_t>(begin),
                               line.begin() + static_cast<std::ptrdiff_t>(end), is_word)
                       ? 1
                       : 0;
      }
    }
    return static_cast<std::size_t>(
        std::ranges::count_if(told, [&](std::size_t n) { return n * 2 > lines.size(); }));
  }

  /// What stands side by side in nearly every line is one phrase.
  void cut_phrases(const Tokens& shared, const std::vector<Tokens>& lines) {
    phrases_ = {{shared[0]}};
    for (std::size_t i = 1; i < shared.size(); ++i) {
      const auto beside = std::ranges::count_if(
          lines, [&](const Tokens& line) { return has_beside(line, shared[i - 1], shared[i]); });
      if (!nine_of_ten(static_cast<std::size_t>(beside), lines.size())) phrases_.emplace_back();
      phrases_.back().push_back(shared[i]);
    }
  }

  bool ends_with_last(const Tokens& line) const {
    const Tokens& last = phrases_.back();
    return line.size() >= last.size() &&
           find_phrase(line, last, line.size() - last.size(), line.size()) != std::string_view::npos;
  }

  std::vector<Tokens> phrases_;
  bool at_begin_ = false, at_end_ = false;
  std::vector<std::pair<std::size_t, std::size_t>> cells_;
};

class SentenceTable final : public TableSource {
 public:
  explicit SentenceTable(std::string_view text) : text_(text) {}
  std::string_view shape() const override { return kSentenceShape; }

  bool sniff() {
    std::vector<std::string_view> lines;
    TextLines walk(text_.substr(0, kFrameSniffedBytes));
    while (!walk.at_end() && lines.size() < kFrameLinesMax) {
      const std::string_view line = trimmed_cell(walk.next());
      if (line.size() > kFrameLineBytesMax) return false;
      if (walk.at_end() && text_.size() > kFrameSniffedBytes) break;
      if (!line.empty()) lines.push_back(line);
    }
    if (lines.size() < kFrameLinesMin) return false;
    std::vector<Tokens> cut(lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i) cut_tokens(lines[i], cut[i]);
    if (!frame_.learn(cut)) return false;
    find_kinds(lines);
    name_columns(lines);
    return true;
  }

  base::Status read(Watch& watch, const TakeRow& take) override {
    left_out_ = 0;
    std::vector<RawCell> row;
    TextLines lines(text_);
    while (!lines.at_end()) {
      const std::size_t begin = lines.at();
      const std::string_view line = trimmed_cell(lines.next());
      TRY(watch.step(lines.at() - begin));
      if (line.empty()) continue;
      if (!fits(line)) {
        ++left_out_;
        continue;
      }
      cells(row);
      TRY(take(0, row));
    }
    return {};
  }

 private:
  bool fits(std::string_view line) {
    if (line.size() > kFrameLineBytesMax) return false;
    cut_tokens(line, tokens_);
    return frame_.match(tokens_);
  }
  /// Tokens [begin, end) of the line that fits; they are views into it.
  std::string_view text_of(std::size_t begin, std::size_t end) const {
    if (begin >= end) return {};
    const char* last = tokens_[end - 1].data() + tokens_[end - 1].size();
    return {tokens_[begin].data(), static_cast<std::size_t>(last - tokens_[begin].data())};
  }
  /// The columns of the line that fits: a day that a cell begins with is a column of its own.
  void cells(std::vector<RawCell>& row) const {
    row.clear();
    for (std::size_t c = 0; c < frame_.columns(); ++c) {
      const auto [begin, end] = frame_.cells()[c];
      const std::size_t day = std::min(end, begin + day_tokens_[c]);
      if (day_tokens_[c] > 0) row.push_back({row.size(), text_of(begin, day)});
      if (!is_day_alone_[c]) row.push_back({row.size(), text_of(day, end)});
    }
  }

  /// Which columns begin with a day, and which are numbers.
  void find_kinds(const std::vector<std::string_view>& lines) {
    struct Days {
      std::size_t at_begin = 0, alone = 0;
    };
    const std::size_t columns = frame_.columns();
    std::vector<std::array<Days, kDayTokens.size()>> found(columns);
    std::vector<std::size_t> numbers(columns, 0);
    std::size_t fit = 0;
    for (const std::string_view line : lines) {
      if (!fits(line)) continue;
      ++fit;
      for (std::size_t c = 0; c < columns; ++c) {
        const auto [begin, end] = frame_.cells()[c];
        numbers[c] += read_number(text_of(begin, end), DecimalSign::kPoint) ? 1 : 0;
        for (std::size_t i = 0; i < kDayTokens.size(); ++i) {
          const std::size_t day = begin + kDayTokens[i];
          if (day > end || !read_date(text_of(begin, day), DayOrder::kDayFirst)) continue;
          ++found[c][i].at_begin;
          found[c][i].alone += day == end ? 1 : 0;
        }
      }
    }
    day_tokens_.assign(columns, 0);
    is_day_alone_.assign(columns, false);
    is_number_.assign(columns, false);
    for (std::size_t c = 0; c < columns; ++c) {
      is_number_[c] = nearly_all(numbers[c], fit);
      for (std::size_t i = 0; i < kDayTokens.size(); ++i) {
        if (!nearly_all(found[c][i].at_begin, fit)) continue;
        day_tokens_[c] = kDayTokens[i];
        is_day_alone_[c] = found[c][i].alone == fit;
      }
    }
  }

  void name_columns(const std::vector<std::string_view>& lines) {
    RawTable table{.name = "records", .columns = {}, .about = {}};
    for (const Tokens& phrase : frame_.phrases()) {
      for (const std::string_view token : phrase) {
        if (says_something(token)) table.about.push_back(text::lower(token));
      }
    }
    for (const std::string_view line : lines) {
      if (fits(line)) continue;
      for (std::string& word : text::plain_words(line)) table.about.push_back(std::move(word));
    }
    for (std::size_t c = 0; c < frame_.columns(); ++c) {
      if (day_tokens_[c] > 0) table.columns.emplace_back("date");
      if (!is_day_alone_[c]) table.columns.push_back(name_of(c));
    }
    tables_ = {std::move(table)};
  }
  /// "Label: praise", "room 7", "3 masts", "filed it as praise".
  std::string name_of(std::size_t column) const {
    const Tokens &before = frame_.before(column), &after = frame_.after(column);
    const std::size_t n = before.size();
    if (n > 1 && (before.back() == ":" || before.back() == "=") && is_word(before[n - 2]))
      return std::string(before[n - 2]);
    const bool named_behind = is_number_[column] && !after.empty() && says_something(after.front()) &&
                              (before.empty() || !says_something(before.back()));
    if (named_behind) return std::string(after.front());
    const auto named = std::ranges::find_if(before.rbegin(), before.rend(), says_something);
    if (named != before.rend()) return std::string(*named);
    return before.empty() ? "subject" : "part";
  }

  std::string_view text_;
  Frame frame_;
  Tokens tokens_;
  std::vector<std::size_t> day_tokens_;  // of each of the frame's columns: so many of its first are a day
  std::vector<bool> is_day_alone_, is_number_;
};

}  // namespace

std::unique_ptr<TableSource> sentence_table(std::string_view text) {
  auto table = std::make_unique<SentenceTable>(text);
  if (!table->sniff()) return nullptr;
  return table;
}

}  // namespace pmt::rlm
