#include "rlm/records.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "rlm/passages.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kFieldsMin = 2, kLineBytesMax = 4'000, kTableLinesMin = 4;
constexpr std::size_t kDistinctMax = 5'000;  // a field with more values is an id or prose: no filter

std::string trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\"'*-");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r\"'") - begin + 1));
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

/// A field's name is one to three short words.
bool is_name(const std::string& text) {
  return !text.empty() && text.size() <= 32 && std::isalpha(static_cast<unsigned char>(text[0])) &&
         std::ranges::count(text, ' ') <= 2 && std::ranges::all_of(text, [](unsigned char c) {
           return std::isalnum(c) || c == '_' || c == ' ' || c == '-';
         });
}

std::optional<Record> json_record(std::string_view line) {
  const auto object = base::parse_json(line, kLineBytesMax);
  if (!object || !object->is_object() || object->size() < kFieldsMin) return std::nullopt;
  Record record;
  for (const auto& [key, value] : object->items()) {
    if (value.is_primitive()) record[lower(key)] = base::as_text(value).value_or(value.dump());
  }
  return record;
}

/// Pairs between `outer`, each split at its first `inner`; the whole line must be pairs.
std::optional<Record> pairs_record(std::string_view line, char outer, char inner) {
  Record record;
  for (const std::string_view part : split(line, outer)) {
    const auto at = part.find(inner);
    if (at == std::string_view::npos) return std::nullopt;
    const std::string name = lower(trimmed(part.substr(0, at)));
    if (!is_name(name)) return std::nullopt;
    record[name] = trimmed(part.substr(at + 1));
  }
  if (record.size() < kFieldsMin) return std::nullopt;
  return record;
}

std::optional<Record> line_record(std::string_view line) {
  if (line.size() > kLineBytesMax) return std::nullopt;
  if (line.front() == '{') return json_record(line);
  for (const char outer : {'|', ';', ',', ' ', '\t'}) {
    for (const char inner : {'=', ':'}) {
      if (line.find(inner) == std::string_view::npos) continue;
      if (outer == ' ' && inner == ':') continue;  // that is prose
      if (auto record = pairs_record(line, outer, inner)) return record;
    }
  }
  return std::nullopt;
}

/// Lines of one table: a header of names, then lines with as many cells.
void take_table(const std::vector<std::string_view>& lines, std::size_t& at, char separator,
                std::vector<Record>& records) {
  const auto header = split(lines[at], separator);
  std::vector<std::string> names;
  for (const auto cell : header) {
    if (cell.empty()) continue;
    names.push_back(lower(trimmed(cell)));
    if (!is_name(names.back())) return;
  }
  if (names.size() < 3) return;
  std::size_t end = at + 1;
  std::vector<Record> table;
  for (; end < lines.size(); ++end) {
    if (lines[end].find_first_not_of("-|: \t+") == std::string_view::npos && !lines[end].empty())
      continue;  // a rule
    auto cells = split(lines[end], separator);
    std::erase_if(cells, [](std::string_view cell) { return cell.empty(); });
    if (cells.size() != names.size()) break;
    Record record;
    for (std::size_t i = 0; i < names.size(); ++i) record[names[i]] = trimmed(cells[i]);
    table.push_back(std::move(record));
  }
  if (table.size() < kTableLinesMin) return;
  records.insert(records.end(), std::make_move_iterator(table.begin()), std::make_move_iterator(table.end()));
  at = end - 1;
}

// --- the question

enum class What { kNone, kCount, kSum, kMean, kMax, kMin };

struct Phrase {
  const char* text;
  What what;
};
// Longer ones first: "total number of" counts.
constexpr Phrase kPhrases[] = {
    {"how many", What::kCount},  {"total number of", What::kCount},
    {"number of", What::kCount}, {"count of", What::kCount},
    {"count the", What::kCount}, {"count", What::kCount},
    {"sum of", What::kSum},      {"sum up", What::kSum},
    {"in total", What::kSum},    {"total", What::kSum},
    {"sum", What::kSum},         {"average", What::kMean},
    {"mean", What::kMean},       {"largest", What::kMax},
    {"highest", What::kMax},     {"maximum", What::kMax},
    {"greatest", What::kMax},    {"biggest", What::kMax},
    {"smallest", What::kMin},    {"lowest", What::kMin},
    {"minimum", What::kMin},
};
const std::set<std::string> kGeneral = {
    "record", "entry", "entrie",   "row",   "line",    "item",    "log",        "listed", "list",
    "with",   "whose", "value",    "field", "equal",   "overall", "altogether", "show",   "over",
    "across", "among", "recorded", "data",  "exactly", "number",  "made"};

What what_of(const std::string& question, std::string& rest) {
  const std::string padded = " " + question + " ";
  for (const Phrase& phrase : kPhrases) {
    const auto at = padded.find(" " + std::string(phrase.text) + " ");
    if (at == std::string::npos) continue;
    rest = padded;
    rest.erase(at + 1, std::string_view(phrase.text).size());
    // "how many ... in total" is still a count
    if (phrase.what == What::kCount) {
      if (const auto total = rest.find(" in total "); total != std::string::npos) rest.erase(total, 9);
    }
    return phrase.what;
  }
  return What::kNone;
}

/// The question's words in lower case, spaced, without punctuation.
std::string normal(const std::string& text) {
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

std::optional<double> number_of(std::string text) {
  std::erase_if(text, [](char c) { return c == ',' || c == '$' || c == '%'; });
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

struct Filter {
  std::string field, value;  // the value in normal form
};

/// The words of a question that nothing has explained yet.
class Unexplained {
 public:
  explicit Unexplained(const std::string& text) : text_(" " + text + " ") {}
  /// Takes `phrase` out if it stands there as whole words.
  bool take(const std::string& phrase) {
    const auto at = text_.find(" " + phrase + " ");
    if (phrase.empty() || at == std::string::npos) return false;
    text_.replace(at + 1, phrase.size(), "");
    return true;
  }
  std::vector<std::string> words() const {
    std::vector<std::string> left;
    for (std::string& word : words_of(text_)) {
      if (!is_stop_word(word) && !kGeneral.contains(word)) left.push_back(std::move(word));
    }
    return left;
  }

 private:
  std::string text_;
};

using Values = std::map<std::string, std::set<std::string>>;  // field -> its values in normal form

Values values_of(const std::vector<Record>& records) {
  Values values;
  for (const Record& record : records) {
    for (const auto& [field, value] : record) {
      auto& set = values[field];
      if (set.size() <= kDistinctMax) set.insert(normal(value));
    }
  }
  return values;
}

/// Longest values first, so that "New York" is not read as "York".
std::vector<Filter> filters_of(const Values& values, Unexplained& question) {
  std::vector<Filter> candidates;
  for (const auto& [field, set] : values) {
    if (set.size() > kDistinctMax) continue;
    for (const std::string& value : set) {
      // A bare number is a filter only next to its field's name: "priority 3".
      const bool number = number_of(value).has_value();
      candidates.push_back({field, number ? normal(field) + " " + value : value});
    }
  }
  std::ranges::stable_sort(candidates,
                           [](const Filter& a, const Filter& b) { return a.value.size() > b.value.size(); });
  std::vector<Filter> filters;
  for (const Filter& candidate : candidates) {
    if (std::ranges::any_of(filters, [&](const Filter& f) { return f.field == candidate.field; })) continue;
    if (!is_stop_word(candidate.value) && question.take(candidate.value)) {
      const std::string name = normal(candidate.field) + " ";
      const bool number = candidate.value.starts_with(name);
      filters.push_back({candidate.field, number ? candidate.value.substr(name.size()) : candidate.value});
    }
  }
  return filters;
}

bool matches(const Record& record, const std::vector<Filter>& filters) {
  return std::ranges::all_of(filters, [&](const Filter& filter) {
    const auto found = record.find(filter.field);
    return found != record.end() && normal(found->second) == filter.value;
  });
}

/// A field that the question names, by its words or the last of them, in singular or plural; it is taken out.
std::string named_field(const Values& values, Unexplained& question, bool numeric_only,
                        const std::vector<Record>& records) {
  for (const auto& entry : values) {
    const std::string& field = entry.first;
    if (numeric_only) {
      const auto has = std::ranges::find_if(records, [&](const Record& r) { return r.contains(field); });
      if (has == records.end() || !number_of(has->at(field))) continue;
    }
    std::string spaced = field;
    std::ranges::replace(spaced, '_', ' ');
    for (const std::string& form : {field, spaced, spaced + "s", spaced.substr(spaced.rfind(' ') + 1)}) {
      if (question.take(form)) return field;
    }
  }
  return "";
}

std::string written(double value) {
  if (value == std::floor(value) && std::abs(value) < 1e15) return fmt::format("{:.0f}", value);
  std::string text = fmt::format("{:.4f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

std::string described(const std::vector<Filter>& filters) {
  std::vector<std::string> parts;
  for (const Filter& filter : filters) parts.push_back(filter.field + " = " + filter.value);
  return parts.empty() ? "no condition" : fmt::format("{}", fmt::join(parts, ", "));
}

double reduced(What what, const std::vector<double>& numbers) {
  double sum = 0;
  for (const double n : numbers) sum += n;
  switch (what) {
    case What::kMean:
      return sum / static_cast<double>(numbers.size());
    case What::kMax:
      return *std::ranges::max_element(numbers);
    case What::kMin:
      return *std::ranges::min_element(numbers);
    default:
      return sum;
  }
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

}  // namespace

std::vector<Record> find_records(const std::string& text) {
  std::vector<std::string_view> lines = split(text, '\n');
  std::vector<Record> records;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    std::string_view line = lines[i];
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    if (line.empty() || line.find_first_of("=:{,|;\t") == std::string_view::npos) continue;
    if (auto record = line_record(line)) {
      records.push_back(std::move(*record));
      continue;
    }
    for (const char separator : {',', '\t', '|', ';'}) {
      const std::size_t before = records.size();
      take_table(lines, i, separator, records);
      if (records.size() > before) break;
    }
  }
  return records;
}

bool is_aggregate(const std::string& question) {
  std::string rest;
  return what_of(normal(question), rest) != What::kNone;
}

Computation compute(const std::vector<Record>& records, const std::string& question) {
  std::string rest;
  const What what = what_of(normal(question), rest);
  if (what == What::kNone)
    return {.answer = {}, .why_not = "the question asks for no count, sum, mean or extreme"};
  if (records.empty()) return {.answer = {}, .why_not = "the context holds no records"};

  const Values values = values_of(records);
  Unexplained left(normal(rest));
  const std::vector<Filter> filters = filters_of(values, left);
  std::string target;
  if (what != What::kCount) {
    target = named_field(values, left, /*numeric_only=*/true, records);
    if (target.empty()) return {.answer = {}, .why_not = "no field with numbers is named in the question"};
  }
  while (!named_field(values, left, /*numeric_only=*/false, records).empty()) {
  }
  if (const auto words = left.words(); !words.empty()) {
    return {.answer = {},
            .why_not =
                fmt::format("no field or value of the records explains \"{}\"", fmt::join(words, "\", \""))};
  }

  std::size_t matching = 0;
  std::vector<double> numbers;
  for (const Record& record : records) {
    if (!matches(record, filters)) continue;
    if (target.empty()) {
      ++matching;
    } else if (const auto found = record.find(target); found != record.end()) {
      if (const auto number = number_of(found->second)) {
        numbers.push_back(*number);
        ++matching;
      }
    }
  }
  if (what != What::kCount && numbers.empty())
    return {.answer = {}, .why_not = "no record fits the conditions"};
  const double value = what == What::kCount ? static_cast<double>(matching) : reduced(what, numbers);
  return {.answer = Computed{.value = written(value),
                             .how = fmt::format("{}{}{} of {} of {} records: {}", name_of(what),
                                                target.empty() ? "" : " of ", target, matching,
                                                records.size(), described(filters)),
                             .records = records.size(),
                             .matching = matching},
          .why_not = {}};
}

}  // namespace pmt::rlm
