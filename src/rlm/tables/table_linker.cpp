#include "rlm/tables/table_linker.h"

#include <algorithm>
#include <cctype>
#include <set>

#include <fmt/format.h>

#include "text/calendar.h"
#include "text/english.h"
#include "text/plain_words.h"
#include "text/stop_words.h"

namespace pmt::rlm {
namespace {

constexpr std::int64_t kIdDigitsMin = 3;

bool is_general(const std::string& word) {
  static const text::WordSet kTable = text::english_words("table_words"),
                             kRecord = text::english_words("record_words");
  const std::string singular = text::singular(word);
  return kTable.contains(word) || kTable.contains(singular) || kRecord.contains(word) ||
         kRecord.contains(singular) || text::is_stop_word(word, text::StopUse::kSearch);
}

bool is_number_word(const std::string& word) {
  return !word.empty() && std::ranges::all_of(word, [](unsigned char c) {
    return std::isdigit(c) != 0 || c == '.' || c == ',';
  }) && std::isdigit(static_cast<unsigned char>(word[0])) != 0;
}

/// What a column may be asked for by, as stems.
std::set<std::string> column_words(const TableColumn& column) {
  std::set<std::string> words;
  for (const std::string& word : name_words(column.written)) words.insert(word);
  for (const std::string_view line : text::english("column_words")) {
    const auto colon = line.find(':');
    if (!words.contains(word_stem(line.substr(0, colon)))) continue;
    for (const std::string_view other : text::fields_of(line.substr(colon + 2)))
      words.insert("=" + word_stem(other));
  }
  return words;
}

class Linker {
 public:
  Linker(const TableSurvey& survey, const TableQuestion& question) : survey_(survey), question_(question) {
    for (const SurveyedTable& table : survey.tables) {
      for (const TableColumn& column : table.columns) words_.push_back(column_words(column));
    }
  }

  LinkedQuestion link() {
    out_.uses.resize(question_.words().size(), WordUse::kUnexplained);
    out_.columns.resize(question_.words().size());
    std::vector<ValueHit> taken = take_hits();
    choose_table(taken);
    keep_links(taken);
    name_columns();
    explain_rest();
    find_attribute();
    find_unknown();
    return std::move(out_);
  }

 private:
  const TableColumn& column_of(const ValueHit& hit) const {
    return survey_.tables[hit.table].columns[hit.column];
  }
  const std::set<std::string>& words_of(std::size_t table, std::size_t column) const {
    std::size_t at = column;
    for (std::size_t t = 0; t < table; ++t) at += survey_.tables[t].columns.size();
    return words_[at];
  }

  /// Whether these words mean this value: a number means one only beside its column's name, or where it is a key.
  bool means(const ValueHit& hit) const {
    const QuestionPhrase& phrase = question_.phrases()[hit.phrase];
    const TableColumn& column = column_of(hit);
    const std::string& word = question_.words()[phrase.begin].normal;
    const bool single = phrase.end == phrase.begin + 1;
    if (phrase.says_little) return false;
    if (single && is_number_word(word)) {
      const auto& names = words_of(hit.table, hit.column);
      const bool named =
          phrase.begin > 0 && names.contains(word_stem(question_.words()[phrase.begin - 1].normal));
      const bool key =
          hit.rows == 1 && static_cast<std::int64_t>(word.size()) >= kIdDigitsMin && !is_year(word);
      return named || key || (column.few && word.size() >= 3 && !is_year(word) && !is_measured(phrase)) ||
             (column.kind == ColumnKind::kText && !is_year(word)) || (column.few && looks_like_key(column));
    }
    if (column.is_number() || column.kind == ColumnKind::kDate)
      return !single || column.kind == ColumnKind::kDate;
    if (!single || phrase.quoted || question_.words()[phrase.begin].name) return true;
    if (column.free_text) return false;  // that a sentence is this one word is chance
    if (column.few && is_said_of_them(phrase)) return true;
    const bool capital =
        std::isupper(static_cast<unsigned char>(question_.words()[phrase.begin].written[0])) != 0;
    return (capital && phrase.begin > 0) || (!is_general(word) && !names_column(hit.table, word));
  }
  /// "How many entries are big": the last word of a sentence about rows, however general it is.
  bool is_said_of_them(const QuestionPhrase& phrase) const {
    static const std::set<std::string> kAre = {"are", "is", "was", "were"};
    return phrase.begin > 0 && phrase.end == question_.words().size() &&
           kAre.contains(question_.words()[phrase.begin - 1].normal);
  }
  /// "more than 500 ms": a bound, or a number of something.
  bool is_measured(const QuestionPhrase& phrase) const {
    static const std::set<std::string> kBounds = {"than",  "over",   "under",   "above", "below",
                                                  "least", "exceed", "exceeds", "about", "around"};
    if (phrase.begin > 0 && kBounds.contains(question_.words()[phrase.begin - 1].normal)) return true;
    return phrase.end < question_.words().size() && !is_general(question_.words()[phrase.end].normal);
  }
  static bool is_year(const std::string& word) {
    return word.size() == 4 && (word.starts_with("19") || word.starts_with("20"));
  }
  bool names_column(std::size_t table, const std::string& word) const {
    for (std::size_t c = 0; c < survey_.tables[table].columns.size(); ++c) {
      if (words_of(table, c).contains(word_stem(word))) return true;
    }
    return false;
  }

  /// The longest phrases first; what one took no other takes.
  std::vector<ValueHit> take_hits() {
    std::vector<const ValueHit*> hits;
    for (const ValueHit& hit : survey_.hits) hits.push_back(&hit);
    std::ranges::stable_sort(hits, {}, [](const ValueHit* hit) { return hit->phrase; });
    std::vector<ValueHit> taken;
    std::set<std::size_t> used;
    for (std::size_t i = 0; i < hits.size();) {
      const QuestionPhrase& phrase = question_.phrases()[hits[i]->phrase];
      bool free = true, any = false;
      for (std::size_t w = phrase.begin; w < phrase.end; ++w) free = free && !used.contains(w);
      std::size_t end = i;
      for (; end < hits.size() && hits[end]->phrase == hits[i]->phrase; ++end) {
        if (!free || !means(*hits[end])) continue;
        taken.push_back(*hits[end]);
        any = true;
      }
      for (std::size_t w = phrase.begin; any && w < phrase.end; ++w) used.insert(w);
      i = end;
    }
    while (take_listed(taken, used)) {
    }
    return taken;
  }

  /// A word that says little is a value too beside another one of its column: "thanks" of "praise, thanks or complaint".
  bool take_listed(std::vector<ValueHit>& taken, std::set<std::size_t>& used) const {
    for (const ValueHit& hit : survey_.hits) {
      const QuestionPhrase& phrase = question_.phrases()[hit.phrase];
      const bool open = phrase.end == phrase.begin + 1 && !used.contains(phrase.begin) &&
                        column_of(hit).few && column_of(hit).kind == ColumnKind::kText;
      const bool listed = open && std::ranges::any_of(taken, [&](const ValueHit& other) {
                            return other.table == hit.table && other.column == hit.column &&
                                   stands_beside(phrase, question_.phrases()[other.phrase]);
                          });
      if (!listed) continue;
      taken.push_back(hit);
      used.insert(phrase.begin);
      return true;
    }
    return false;
  }
  /// But for a word that joins them.
  bool stands_beside(const QuestionPhrase& a, const QuestionPhrase& b) const {
    const std::size_t from = std::min(a.end, b.end), to = std::max(a.begin, b.begin);
    if (from == to) return true;
    const std::string& between = question_.words()[from].normal;
    return from + 1 == to && (between == "or" || between == "and");
  }

  /// The table whose names and values the question uses most.
  void choose_table(const std::vector<ValueHit>& taken) {
    std::pair<int, double> best = {-1, 0};
    for (std::size_t t = 0; t < survey_.tables.size(); ++t) {
      const auto score = score_of(t, taken);
      if (score > best) best = score, out_.table = t;
    }
  }

  /// How many of the question's words the table explains, and how well.
  std::pair<int, double> score_of(std::size_t t, const std::vector<ValueHit>& taken) const {
    const SurveyedTable& table = survey_.tables[t];
    std::set<std::size_t> explained;
    double score = 0;
    const auto own = name_words(table.name);
    for (std::size_t w = 0; w < question_.words().size(); ++w) {
      const std::string stem = word_stem(question_.words()[w].normal);
      if (std::ranges::find(own, stem) != own.end()) score += 2;
      double named = 0;
      for (std::size_t c = 0; c < table.columns.size(); ++c) {
        const double weight = table.columns[c].source.empty() ? 2 : 1;
        if (words_of(t, c).contains(stem)) named = std::max(named, weight);
        if (words_of(t, c).contains("=" + stem) && !is_general(question_.words()[w].normal))
          named = std::max(named, weight / 2);
      }
      score += named;
      if (named > 0) explained.insert(w);
    }
    for (const ValueHit& hit : taken) {
      if (hit.table != t) continue;
      score += 2 + (hit.rows == 1 ? 1 : 0);
      const QuestionPhrase& phrase = question_.phrases()[hit.phrase];
      for (std::size_t w = phrase.begin; w < phrase.end; ++w) explained.insert(w);
    }
    return {static_cast<int>(explained.size()), score};
  }

  void keep_links(const std::vector<ValueHit>& taken) {
    for (const ValueHit& hit : taken) {
      const QuestionPhrase& phrase = question_.phrases()[hit.phrase];
      for (std::size_t w = phrase.begin; w < phrase.end; ++w) out_.uses[w] = WordUse::kValue;
      if (hit.table != out_.table) continue;
      const TableColumn& column = column_of(hit);
      out_.links.push_back({hit.column, phrase, comparable(hit.spellings.front(), column), hit.rows});
    }
    std::ranges::stable_sort(out_.links, {}, [](const ValueLink& link) { return link.words.begin; });
    prefer_columns();
  }

  /// Of words that are a value of several columns: the column that is named right before them; else one of few values or a
  /// key before a measure that happens to be as large; the key where one row is asked for, and not where rows are counted.
  void prefer_columns() {
    static const std::set<std::string> kCounting = {"many", "number",  "count", "total",
                                                    "sum",  "average", "mean"};
    const bool counts = std::ranges::any_of(
        question_.words(), [&](const QuestionWord& word) { return kCounting.contains(word.normal); });
    const auto& columns = survey_.tables[out_.table].columns;
    const auto is_named = [&](const ValueLink& link) {
      return link.words.begin > 0 && words_of(out_.table, link.column)
                                         .contains(word_stem(question_.words()[link.words.begin - 1].normal));
    };
    const auto is_measure = [&](const ValueLink& link) {
      const TableColumn& column = columns[link.column];
      return column.is_number() && !column.few && !column.is_unique() && !looks_like_key(column);
    };
    const std::vector<ValueLink> all = out_.links;
    std::erase_if(out_.links, [&](const ValueLink& link) {
      return std::ranges::any_of(all, [&](const ValueLink& other) {
        if (other.words.begin != link.words.begin || other.column == link.column || is_named(link))
          return false;
        if (is_measure(link) && !is_measure(other)) return true;
        const bool key = columns[other.column].is_unique();
        return is_named(other) || (key != columns[link.column].is_unique() && key != counts);
      });
    });
  }

  void name_columns() {
    const SurveyedTable& table = survey_.tables[out_.table];
    for (std::size_t w = 0; w < question_.words().size(); ++w) {
      const std::string stem = word_stem(question_.words()[w].normal);
      auto& columns = out_.columns[w];
      for (const std::string& word : {stem, "=" + stem}) {
        for (std::size_t c = 0; c < table.columns.size() && !(word[0] == '=' && !columns.empty()); ++c) {
          if (words_of(out_.table, c).contains(word)) columns.push_back(c);
        }
        if (!columns.empty()) break;
      }
      // A word written with parts: "order_id" or "unit-price".
      for (const std::string& part : name_words(question_.words()[w].normal)) {
        for (std::size_t c = 0; columns.empty() && part != stem && c < table.columns.size(); ++c) {
          if (words_of(out_.table, c).contains(part)) columns.push_back(c);
        }
      }
      if (!columns.empty() && out_.uses[w] == WordUse::kUnexplained) out_.uses[w] = WordUse::kColumn;
    }
  }

  void explain_rest() {
    auto own = name_words(survey_.tables[out_.table].name);
    for (const std::string& word : survey_.tables[out_.table].about) own.push_back(word_stem(word));
    for (std::size_t w = 0; w < question_.words().size(); ++w) {
      const QuestionWord& word = question_.words()[w];
      WordUse& use = out_.uses[w];
      if (use == WordUse::kValue || use == WordUse::kColumn) ++out_.about;
      if (use != WordUse::kUnexplained) continue;
      if (is_number_word(word.normal)) {
        use = WordUse::kNumber;
      } else if (!text::calendar_name(word.normal).empty() || !time_of_day(word.normal).empty() ||
                 read_date(word.written, DayOrder::kMonthFirst)) {
        use = WordUse::kTime;
        const auto& columns = survey_.tables[out_.table].columns;
        out_.about += std::ranges::count(columns, ColumnKind::kDate, &TableColumn::kind) > 0 ? 1 : 0;
      } else if (is_general(word.normal) || word.normal.empty() || is_code_beside(w)) {
        use = WordUse::kGeneral;
      } else if (std::ranges::find(own, word_stem(word.normal)) != own.end()) {
        use = WordUse::kGeneral;
        ++out_.about;
      } else if (!word.name && !take_part({.begin = w, .end = w + 1})) {
        out_.unexplained.push_back(word.written);
      }
    }
  }

  /// Whether a value of the table holds these words among others. Links the column that has most of them.
  bool take_part(const QuestionPhrase& words) {
    const auto seen = survey_.seen.find({words.begin, words.end});
    if (seen == survey_.seen.end()) return false;
    const PartHit* best = nullptr;
    for (const PartHit& hit : seen->second) {
      if (hit.table == out_.table && (best == nullptr || hit.rows > best->rows)) best = &hit;
    }
    if (best == nullptr) return false;
    out_.parts.push_back({best->column, words, question_.written(words), best->rows});
    for (std::size_t w = words.begin; w < words.end; ++w) out_.uses[w] = WordUse::kPart;
    ++out_.about;
    return true;
  }

  /// "The numeric code 250", "the code DE": what is told by its value says no more.
  bool is_code_beside(std::size_t w) const {
    static const std::set<std::string> kCodes = {"code", "number", "id", "identifier", "key", "no", "nr"};
    if (!kCodes.contains(question_.words()[w].normal)) return false;
    const auto is_told = [&](std::size_t at) {
      return at < out_.uses.size() && (out_.uses[at] == WordUse::kValue || out_.uses[at] == WordUse::kColumn);
    };
    return is_told(w + 1) || (w > 0 && is_told(w - 1));
  }

  /// "What is the population of ...", "who discovered ...": the word that says what is asked for, where nothing
  /// explains it.
  void find_attribute() {
    static const std::set<std::string> kAsk = {"what", "who"}, kAre = {"is", "was", "are", "were"};
    const auto& words = question_.words();
    out_.asks_unexplained = words.size() > 3 && kAsk.contains(words[0].normal) &&
                            kAre.contains(words[1].normal) && words[2].normal == "the" &&
                            out_.uses[3] == WordUse::kUnexplained;
    out_.asks_unexplained |=
        words.size() > 2 && words[0].normal == "who" && out_.uses[1] == WordUse::kUnexplained;
  }

  /// Names in a row are one: "Ann Chen" isn't there because there are an Ann and a Chen.
  void find_unknown() {
    const auto& words = question_.words();
    for (std::size_t begin = 0; begin < words.size();) {
      std::size_t end = begin;
      while (end < words.size() && words[end].name && out_.uses[end] == WordUse::kUnexplained) ++end;
      if (end == begin) {
        ++begin;
        continue;
      }
      if (!survey_.seen.contains({begin, end}))
        out_.unknown.push_back(question_.written({begin, end}));
      else
        take_part({.begin = begin, .end = end});
      begin = end;
    }
    for (const QuestionPhrase& phrase : question_.phrases()) {
      const bool linked =
          std::ranges::any_of(out_.uses.begin() + static_cast<std::ptrdiff_t>(phrase.begin),
                              out_.uses.begin() + static_cast<std::ptrdiff_t>(phrase.end),
                              [](WordUse use) { return use == WordUse::kValue || use == WordUse::kColumn; });
      if (!phrase.quoted || linked || take_part(phrase)) continue;
      if (!survey_.seen.contains({phrase.begin, phrase.end}))
        out_.unknown.push_back(question_.written(phrase));
    }
    for (std::size_t w = 1; w < words.size(); ++w) {
      if (out_.uses[w] != WordUse::kNumber || words[w].normal.find('.') != std::string::npos) continue;
      const std::string before = word_stem(words[w - 1].normal);
      for (std::size_t c = 0; c < survey_.tables[out_.table].columns.size(); ++c) {
        const TableColumn& column = survey_.tables[out_.table].columns[c];
        if (!looks_like_key(column) || !words_of(out_.table, c).contains(before)) continue;
        out_.unknown.push_back(fmt::format("{} {}", words[w - 1].written, words[w].written));
        break;
      }
    }
  }

  const TableSurvey& survey_;
  const TableQuestion& question_;
  std::vector<std::set<std::string>> words_;  // of each column, table by table; "=" before a synonym
  LinkedQuestion out_;
};

}  // namespace

bool looks_like_key(const TableColumn& column) {
  const auto words = name_words(column.written);
  static const std::set<std::string> kWords = {"id", "no", "nr", "number", "code", "key", "sku", "num"};
  return std::ranges::any_of(words, [](const std::string& word) { return kWords.contains(word); });
}

std::string comparable(std::string_view cell, const TableColumn& column) {
  if (column.is_number()) {
    if (const auto number = read_number(cell, column.decimal_sign))
      return number->whole ? fmt::format("{:.0f}", number->value) : fmt::format("{}", number->value);
  }
  if (column.kind == ColumnKind::kDate) {
    if (const auto date = read_date(cell, column.day_order)) return date->iso;
  }
  return std::string(cell.substr(0, kCellBytesMax));
}

std::string sql_literal(const std::string& value, const TableColumn& column) {
  if (column.is_number()) return value;
  std::string quoted = "'";
  for (const char c : value) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

LinkedQuestion link_question(const TableSurvey& survey, const TableQuestion& question) {
  if (survey.tables.empty()) return {};
  return Linker(survey, question).link();
}

}  // namespace pmt::rlm
