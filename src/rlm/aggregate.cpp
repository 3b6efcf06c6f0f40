#include "rlm/aggregate.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "rlm/passages.h"
#include "text/english.h"
#include "text/stop_words.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kDistinctMax = 5'000;       // a field with more values is an id or prose: no filter
constexpr std::size_t kQuestionBytesMax = 2'000;  // nobody explains every word of a longer one

enum class What { kNone, kCount, kSum, kMean, kMax, kMin };

What what_named(std::string_view name) {
  if (name == "count") return What::kCount;
  if (name == "sum") return What::kSum;
  if (name == "mean") return What::kMean;
  if (name == "max") return What::kMax;
  return What::kMin;
}

struct Phrase {
  std::string text;
  What what;
};

/// In the file's order: "total number of" counts, so it stands before "total".
const std::vector<Phrase>& phrases() {
  static const std::vector<Phrase> kPhrases = [] {
    std::vector<Phrase> all;
    for (const std::string_view line : text::english("aggregates")) {
      const std::size_t space = line.find(' ');
      all.push_back({std::string(line.substr(space + 1)), what_named(line.substr(0, space))});
    }
    return all;
  }();
  return kPhrases;
}

/// What a question about records says of them in general, which no field explains.
bool is_general(const std::string& word) {
  static const text::WordSet kWords = text::english_words("record_words");
  return kWords.contains(word);
}

What what_of(const std::string& question, std::string& rest) {
  const std::string padded = " " + question + " ";
  for (const Phrase& phrase : phrases()) {
    const auto at = padded.find(" " + phrase.text + " ");
    if (at == std::string::npos) continue;
    rest = padded;
    rest.erase(at + 1, phrase.text.size());
    // "how many ... in total" is still a count
    if (phrase.what == What::kCount) {
      if (const auto total = rest.find(" in total "); total != std::string::npos) rest.erase(total, 9);
    }
    return phrase.what;
  }
  return What::kNone;
}

/// The question's words in lower case, spaced, without punctuation.
std::string normal(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool inside = i + 1 < text.size() && std::isalnum(static_cast<unsigned char>(text[i + 1])) &&
                        !out.empty() && std::isalnum(static_cast<unsigned char>(out.back()));
    const bool kept = std::isalnum(c) || c >= 0x80 || c == '_' || ((c == '-' || c == '.') && inside);
    if (kept) {
      out += static_cast<char>(std::tolower(c));
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::optional<double> number_of(std::string_view value) {
  std::string text(value);
  std::erase_if(text, [](char c) { return c == ',' || c == '$' || c == '%'; });
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

/// The words of a question that nothing has explained yet.
class Unexplained {
 public:
  explicit Unexplained(const std::string& text) : text_(" " + text + " ") {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.size(), text.find(' ', at));
      words_.insert(text.substr(at, end - at));
      at = end + 1;
    }
  }
  /// Whether it stands there as whole words. Most values of most records begin with no word of the question.
  bool holds(const std::string& phrase) const {
    return words_.contains(phrase.substr(0, phrase.find(' '))) &&
           text_.find(" " + phrase + " ") != std::string::npos;
  }
  /// Takes `phrase` out if it stands there as whole words.
  bool take(const std::string& phrase) {
    const auto at = phrase.empty() ? std::string::npos : text_.find(" " + phrase + " ");
    if (at == std::string::npos) return false;
    text_.replace(at + 1, phrase.size(), "");
    return true;
  }
  std::vector<std::string> words() const {
    std::vector<std::string> left;
    for (std::string& word : words_of(text_)) {
      if (!text::is_stop_word(word, text::StopUse::kSearch) && !is_general(word))
        left.push_back(std::move(word));
    }
    return left;
  }

 private:
  std::string text_;
  std::unordered_set<std::string> words_;
};

/// What occurs in one field.
struct FieldValues {
  std::uint32_t field = 0;
  std::unordered_set<std::string_view> spellings;  // as they stand; kDistinctMax and one at most
  bool numeric = false;                            // its first value is
  bool seen = false;
};

struct Filter {
  std::uint32_t field = 0;
  std::string value;                               // in normal form
  std::unordered_set<std::string_view> spellings;  // of it
};

std::string written(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return fmt::format("{:.0f}", value);
  std::string text = fmt::format("{:.4f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

const char* name_of(What what) {
  switch (what) {
    case What::kSum:
      return "sum";
    case What::kMean:
      return "mean";
    case What::kMax:
      return "largest";
    case What::kMin:
      return "smallest";
    default:
      return "count";
  }
}

/// One question about some records.
class Asking {
 public:
  Asking(const Records& records, const std::string& rest, Watch& watch)
      : records_(records), left_(normal(rest)), watch_(watch) {}

  base::Result<Computation> answer(What what) {
    TRY(collect());
    TRY(find_filters());
    std::optional<std::uint32_t> target;
    if (what != What::kCount) {
      target = named_number();
      if (!target) return Computation{.why_not = "no field with numbers is named in the question"};
    }
    TRY(explain_fields());
    if (const auto words = left_.words(); !words.empty()) {
      return Computation{.why_not = fmt::format("no field or value of the records explains \"{}\"",
                                                fmt::join(words, "\", \""))};
    }
    return reduce(what, target);
  }

 private:
  /// The values of each field, and the fields in the order of their names.
  base::Status collect() {
    watch_.begin("collecting values", records_.size() * kRecordBytes);
    std::vector<FieldValues> values(records_.fields().size());
    for (std::size_t record = 0; record < records_.size(); ++record) {
      for (std::size_t n = 0; n < records_.cells_of(record); ++n) {
        const Records::Cell& cell = records_.cell(record, n);
        FieldValues& of_field = values[cell.field];
        if (!std::exchange(of_field.seen, true)) of_field.numeric = number_of(cell.value()).has_value();
        if (of_field.spellings.size() <= kDistinctMax) of_field.spellings.insert(cell.value());
      }
      TRY(watch_.step(kRecordBytes + records_.cells_of(record) * kCellBytes));
    }
    for (std::uint32_t field = 0; field < values.size(); ++field) values[field].field = field;
    std::ranges::sort(values, {}, [this](const FieldValues& v) { return name(v.field); });
    values_ = std::move(values);
    return {};
  }

  struct Candidate {
    std::uint32_t field;
    std::string value, phrase;
  };

  /// The values that the question may name, longest first, so that "New York" is not read as "York".
  base::Result<std::vector<Candidate>> candidates() {
    std::vector<Candidate> found;
    for (const FieldValues& of_field : values_) {
      TRY(watch_.step(kRecordBytes));
      if (of_field.spellings.size() > kDistinctMax) continue;
      for (const std::string_view spelling : of_field.spellings) {
        TRY(watch_.step(kCellBytes + spelling.size()));
        std::string value = normal(spelling);
        // A bare number is a filter only next to its field's name: "priority 3".
        std::string phrase = number_of(value) ? normal(name(of_field.field)) + " " + value : value;
        if (left_.holds(phrase) && !text::is_stop_word(phrase, text::StopUse::kSearch))
          found.push_back({of_field.field, std::move(value), std::move(phrase)});
      }
    }
    std::ranges::sort(found, [this](const Candidate& a, const Candidate& b) {
      if (a.phrase.size() != b.phrase.size()) return a.phrase.size() > b.phrase.size();
      return a.field != b.field ? name(a.field) < name(b.field) : a.phrase < b.phrase;
    });
    return found;
  }

  base::Status find_filters() {
    watch_.begin("finding conditions", records_.size() * kRecordBytes);
    TRY_ASSIGN(const auto found, candidates());
    std::unordered_set<std::uint32_t> filtered;
    for (const Candidate& candidate : found) {
      TRY(watch_.step(kQuestionBytesMax));
      if (filtered.contains(candidate.field) || !left_.take(candidate.phrase)) continue;
      filtered.insert(candidate.field);
      filters_.push_back({candidate.field, candidate.value, {}});
      const auto of_field =
          std::ranges::find_if(values_, [&](const FieldValues& v) { return v.field == candidate.field; });
      for (const std::string_view spelling : of_field->spellings) {
        if (normal(spelling) == candidate.value) filters_.back().spellings.insert(spelling);
      }
    }
    return {};
  }

  /// Whether the question names the field, by its words or the last of them, in singular or plural; what
  /// named it is taken out.
  bool take_name(const FieldValues& of_field) {
    const std::string& field = name(of_field.field);
    std::string spaced = field;
    std::ranges::replace(spaced, '_', ' ');
    for (const std::string& form : {field, spaced, spaced + "s", spaced.substr(spaced.rfind(' ') + 1)}) {
      if (left_.take(form)) return true;
    }
    return false;
  }

  std::optional<std::uint32_t> named_number() {
    for (const FieldValues& of_field : values_) {
      if (of_field.numeric && take_name(of_field)) return of_field.field;
    }
    return std::nullopt;
  }

  /// What is taken out leaves a gap, so a field that was not named before isn't after.
  base::Status explain_fields() {
    for (const FieldValues& of_field : values_) {
      TRY(watch_.step(kQuestionBytesMax));
      while (take_name(of_field)) {
      }
    }
    return {};
  }

  bool matches(std::size_t record) const {
    return std::ranges::all_of(filters_, [&](const Filter& filter) {
      const auto value = records_.value(record, filter.field);
      return value && filter.spellings.contains(*value);
    });
  }

  base::Result<Computation> reduce(What what, std::optional<std::uint32_t> target) {
    watch_.begin("computing", records_.size() * kRecordBytes);
    std::size_t matching = 0;
    double sum = 0, least = INFINITY, most = -INFINITY;
    for (std::size_t record = 0; record < records_.size(); ++record) {
      TRY(watch_.step(kRecordBytes + records_.cells_of(record) * (filters_.size() + 1)));
      if (!matches(record)) continue;
      const auto value = target ? records_.value(record, *target) : std::nullopt;
      const auto number = value ? number_of(*value) : std::nullopt;
      if (target && !number) continue;
      ++matching;
      sum += number.value_or(0);
      least = std::min(least, number.value_or(0));
      most = std::max(most, number.value_or(0));
    }
    if (target && matching == 0) return Computation{.why_not = "no record fits the conditions"};
    const auto count = static_cast<double>(matching);
    const double value = what == What::kCount  ? count
                         : what == What::kMean ? sum / count
                         : what == What::kMax  ? most
                         : what == What::kMin  ? least
                                               : sum;
    return Computation{
        .answer =
            Computed{.value = written(value),
                     .how = fmt::format("{}{}{} of {} of {} records: {}", name_of(what), target ? " of " : "",
                                        target ? name(*target) : "", matching, records_.size(), described()),
                     .records = records_.size(),
                     .matching = matching}};
  }

  std::string described() const {
    std::vector<std::string> parts;
    for (const Filter& filter : filters_) parts.push_back(name(filter.field) + " = " + filter.value);
    return parts.empty() ? "no condition" : fmt::format("{}", fmt::join(parts, ", "));
  }

  const std::string& name(std::uint32_t field) const { return records_.fields()[field]; }

  // About what a step over one costs, in bytes of text that cost as much.
  static constexpr std::size_t kRecordBytes = 64, kCellBytes = 64;

  const Records& records_;
  Unexplained left_;
  Watch& watch_;
  std::vector<FieldValues> values_;
  std::vector<Filter> filters_;
};

}  // namespace

bool is_aggregate(const std::string& question) {
  std::string rest;
  return question.size() <= kQuestionBytesMax && what_of(normal(question), rest) != What::kNone;
}

base::Result<Computation> compute(const Records& records, const std::string& question, Watch& watch) {
  std::string rest;
  const What what = question.size() <= kQuestionBytesMax ? what_of(normal(question), rest) : What::kNone;
  if (what == What::kNone)
    return Computation{.why_not = "the question asks for no count, sum, mean or extreme"};
  if (records.empty()) return Computation{.why_not = "the context holds no records"};
  return Asking(records, rest, watch).answer(what);
}

}  // namespace pmt::rlm
