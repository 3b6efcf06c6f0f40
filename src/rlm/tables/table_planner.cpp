#include "rlm/tables/table_planner.h"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "rlm/tables/cell_values.h"
#include "text/calendar.h"
#include "text/english.h"
#include "text/plain_words.h"

namespace pmt::rlm {
namespace {

/// A question with one of these asks for more than filters and one aggregate.
const std::set<std::string>& hard_words() {
  static const std::set<std::string> kWords = {
      "than",   "more",    "less",   "fewer",  "over",    "under",      "above",   "below",      "between",
      "before", "after",   "since",  "until",  "not",     "no",         "without", "except",     "each",
      "every",  "per",     "by",     "most",   "least",   "first",      "last",    "second",     "top",
      "bottom", "rank",    "order",  "sorted", "group",   "same",       "other",   "another",    "both",
      "either", "neither", "ratio",  "share",  "percent", "percentage", "median",  "difference", "all",
      "every",  "also",    "newest", "oldest", "latest",  "earliest",   "longest", "shortest",   "best",
      "worst",  "old",     "new",    "recent", "often",   "frequent",   "common",  "any",        "only"};
  return kWords;
}

struct Phrase {
  std::string kind;
  std::vector<std::string> words;
};

const std::vector<Phrase>& phrases() {
  static const std::vector<Phrase> kPhrases = [] {
    std::vector<Phrase> all;
    for (const std::string_view line : text::english("aggregates")) {
      auto words = text::plain_words(line);
      const std::string kind = words.front();
      words.erase(words.begin());
      all.push_back({kind, std::move(words)});
    }
    return all;
  }();
  return kPhrases;
}

class Planner {
 public:
  Planner(const SurveyedTable& table, const TableQuestion& question, const LinkedQuestion& linked)
      : table_(table), question_(question), linked_(linked), used_(question.words().size(), false) {}

  std::optional<std::string> plan() {
    if (!linked_.unknown.empty() || !linked_.parts.empty() || question_.words().size() < 3)
      return std::nullopt;
    for (std::size_t w = 0; w < used_.size(); ++w) {
      used_[w] = linked_.uses[w] == WordUse::kValue;
      // A part of a longer value: "Ann" of "Ann Chen".
      if (linked_.uses[w] == WordUse::kUnexplained && question_.words()[w].name) return std::nullopt;
    }
    find_aggregate();
    if (kind_.empty() && find_rank()) return plan_ranking();
    take_times_of_day();
    if (counts_rows()) return fmt::format("SELECT COUNT(*) FROM {}{}", table_.name, where());
    if (const auto filled = plan_filled()) return filled;
    if (const auto named = plan_naming()) return named;
    if (!linked_.unexplained.empty()) return std::nullopt;
    if (is_hard() || !filter_values() || !filter_time() || !find_target()) return std::nullopt;
    find_total();
    return select();
  }

 private:
  using Filters = std::map<std::size_t, std::vector<std::string>>;  // values by column

  /// But for "by" before a value: "books by Ann".
  bool is_hard() const {
    for (std::size_t w = 0; w < used_.size(); ++w) {
      if (used_[w] || linked_.uses[w] == WordUse::kColumn || !hard_words().contains(word(w))) continue;
      if (word(w) != "by" || w + 1 == used_.size() || linked_.uses[w + 1] != WordUse::kValue) return true;
    }
    return false;
  }

  bool is_unexplained(std::size_t w) const {
    return w < used_.size() && linked_.uses[w] == WordUse::kUnexplained;
  }

  /// "How many countries are there": the noun may be any, where nothing else is said.
  bool counts_rows() const {
    if (kind_ != "count" || distinct_ || !linked_.links.empty() || is_hard()) return false;
    for (std::size_t w = 0; w < used_.size(); ++w) {
      const bool noun = w == after_ && is_unexplained(w);
      if (!used_[w] && linked_.uses[w] != WordUse::kGeneral && !noun && !says_when(w)) return false;
    }
    return true;
  }

  /// "How many employees have a manager", "... without a manager": the column's name stands at the end.
  std::optional<std::string> plan_filled() {
    static const std::set<std::string> kHave = {"have", "has", "having", "with", "without"};
    static const std::set<std::string> kArticles = {"a", "an", "any", "no"};
    if (kind_ != "count" || distinct_) return std::nullopt;
    std::size_t have = used_.size();
    for (std::size_t w = 0; w < used_.size(); ++w) {
      if (!used_[w] && kHave.contains(word(w)) && have == used_.size()) have = w;
      if (is_unexplained(w) && (w > have || w != after_)) return std::nullopt;
    }
    if (have + 2 >= used_.size() || !kArticles.contains(word(have + 1))) return std::nullopt;
    for (std::size_t w = have + 2; w < used_.size(); ++w) {
      if (linked_.uses[w] != WordUse::kColumn) return std::nullopt;
    }
    const bool missing = word(have) == "without" || word(have + 1) == "no";
    const std::vector<bool> before = used_;
    used_[have] = used_[have + 1] = true;
    if (after_ < have) used_[after_] = used_[after_] || is_unexplained(after_) || says_rows_alone(after_);
    const bool understood =
        !is_hard() && filter_values() && filter_time() && find_target() && targets_.size() == 1;
    if (understood) {
      const std::string condition =
          fmt::format("{} IS {}NULL", column(targets_.front()).name, missing ? "" : "NOT ");
      const std::string others = where();
      return fmt::format("SELECT COUNT(*) FROM {}{} {}", table_.name,
                         others.empty() ? " WHERE" : others + " AND", condition);
    }
    used_ = before;
    return forgotten();
  }

  /// What was read of the question, for another plan to read.
  std::nullopt_t forgotten() {
    filters_.clear();
    targets_.clear();
    time_.clear();
    return std::nullopt;
  }

  /// "Which country has the code 250", where the rows' name is their column `name`.
  std::optional<std::string> plan_naming() {
    const bool numbered = std::ranges::any_of(
        linked_.uses, [](WordUse use) { return use == WordUse::kNumber || use == WordUse::kTime; });
    if (!kind_.empty() || word(0) != "which" || !is_unexplained(1) || linked_.links.empty() || is_hard() ||
        numbered || linked_.unexplained.size() != 1)
      return std::nullopt;
    const auto naming = std::ranges::find_if(table_.columns, [](const TableColumn& c) {
      const auto words = name_words(c.written);
      return words.size() == 1 && (words[0] == word_stem("name") || words[0] == word_stem("title"));
    });
    if (naming == table_.columns.end() || !filter_values() || !find_target() || !targets_.empty() ||
        filters_.size() != linked_.links.size() ||
        filters_.contains(static_cast<std::size_t>(naming - table_.columns.begin())))
      return forgotten();
    return fmt::format("SELECT DISTINCT {} FROM {}{}", naming->name, table_.name, where());
  }

  /// "Which city has the most orders", "who has fewer orders, Ann or Bo", "which is more common": the word, and the noun
  /// after it, which may say rows in a word that no column has.
  bool find_rank() {
    static const std::map<std::string, const char*> kRanks = {
        {"most", "DESC"}, {"fewest", "ASC"},  {"more", "DESC"},   {"higher", "DESC"},
        {"least", "ASC"}, {"larger", "DESC"}, {"bigger", "DESC"}, {"greater", "DESC"},
        {"fewer", "ASC"}, {"less", "ASC"},    {"lower", "ASC"},   {"smaller", "ASC"}};
    if (word(0) != "which" && word(0) != "who") return false;
    for (std::size_t w = 1; w < used_.size(); ++w) {
      const auto found = used_[w] ? kRanks.end() : kRanks.find(word(w));
      if (found == kRanks.end()) continue;
      noun_ = w + 1;
      take_how_often();
      if (word(w) == "least" && !how_often_) continue;
      direction_ = found->second;
      groups_ = word(w) == "most" || word(w) == "fewest";
      used_[w] = true;
      return true;
    }
    return false;
  }

  /// "Most common": rows are counted, and the noun stands elsewhere.
  void take_how_often() {
    static const std::set<std::string> kOften = {"common", "frequent", "often"};
    how_often_ = noun_ < used_.size() && kOften.contains(word(noun_));
    if (how_often_) used_[noun_++] = true;
  }

  /// Of the values that the question names, or of all of the column that it names.
  std::optional<std::string> plan_how_often() const {
    const auto several =
        std::ranges::find_if(filters_, [](const auto& filter) { return filter.second.size() > 1; });
    if (several != filters_.end())
      return targets_.empty() ? ranked(column(several->first), "COUNT(*)") : std::nullopt;
    if (targets_.size() != 1 || column(targets_.front()).kind != ColumnKind::kText) return std::nullopt;
    return ranked(column(targets_.front()), "COUNT(*)");
  }

  std::optional<std::string> plan_ranking() {
    for (std::size_t w = 0; w < used_.size(); ++w) {
      if (linked_.uses[w] == WordUse::kUnexplained && w != noun_ && w + 1 != noun_) return std::nullopt;
    }
    kind_ = "rank";
    if (is_hard() || !filter_values() || !filter_time() || !find_target()) return std::nullopt;
    std::erase_if(targets_,
                  [&](std::size_t c) { return numbers_rows(column(c)) && (how_often_ || !groups_); });
    if (how_often_) return plan_how_often();
    if (targets_.size() > 1) return std::nullopt;
    const TableColumn* target = targets_.empty() ? nullptr : &column(targets_.front());
    if (groups_) {
      if (target == nullptr || target->kind != ColumnKind::kText || word(0) != "which") return std::nullopt;
      return ranked(*target, "COUNT(*)");
    }
    const bool either =
        std::ranges::any_of(question_.words(), [](const QuestionWord& w) { return w.normal == "or"; });
    if (pair() == filters_.end() || !either) return std::nullopt;
    const TableColumn& by = column(pair()->first);
    if (target == nullptr) return by.is_unique() ? std::nullopt : ranked(by, "COUNT(*)");
    return by.is_unique() && target->is_number() ? ranked(by, target->name) : std::nullopt;
  }
  /// "Ann or Bo": who is asked for is one of them, whatever else "who" may stand for.
  Filters::const_iterator pair() const {
    return std::ranges::find_if(filters_, [](const auto& filter) { return filter.second.size() == 2; });
  }
  std::optional<std::string> ranked(const TableColumn& by, const std::string& what) const {
    return fmt::format("SELECT {0} FROM {1}{2} GROUP BY {0} ORDER BY {3} {4} LIMIT 1", by.name, table_.name,
                       where(), what, direction_);
  }

  const std::string& word(std::size_t w) const { return question_.words()[w].normal; }
  const TableColumn& column(std::size_t c) const { return table_.columns[c]; }

  void find_aggregate() {
    for (const Phrase& phrase : phrases()) {
      for (std::size_t at = 0; at + phrase.words.size() <= used_.size(); ++at) {
        bool fits = true;
        for (std::size_t i = 0; i < phrase.words.size(); ++i)
          fits = fits && !used_[at + i] && word(at + i) == phrase.words[i];
        // "units sold in total" names a column with it; so may a column be called total, or count.
        if (!fits || (linked_.uses[at] == WordUse::kColumn && names_fully(at))) continue;
        kind_ = phrase.kind;
        totals_ = phrase.words.front() == "total";
        for (std::size_t i = 0; i < phrase.words.size(); ++i) used_[at + i] = true;
        after_ = at + phrase.words.size();
        take_distinct(after_);
        return;
      }
    }
  }
  /// "How many units were sold in total": they are added.
  void find_total() {
    for (std::size_t w = 0; w < used_.size(); ++w) {
      const bool said = word(w) == "altogether" || word(w) == "overall" ||
                        (word(w) == "total" && w > 0 && word(w - 1) == "in");
      totals_ = totals_ || (said && linked_.uses[w] == WordUse::kGeneral);
    }
  }
  bool names_fully(std::size_t w) const {
    return std::ranges::any_of(linked_.columns[w], [&](std::size_t c) {
      return name_words(column(c).written).size() == 1 && word_stem(column(c).written) == word_stem(word(w));
    });
  }
  void take_distinct(std::size_t next) {
    if (next >= used_.size()) return;
    if (word(next) == "different" || word(next) == "distinct" || word(next) == "unique")
      distinct_ = used_[next] = true;
  }

  /// One column a value, or the one that is named right beside it.
  bool filter_values() {
    std::map<std::pair<std::size_t, std::size_t>, std::vector<const ValueLink*>> by_words;
    for (const ValueLink& link : linked_.links) by_words[{link.words.begin, link.words.end}].push_back(&link);
    for (const auto& [where, links] : by_words) {
      const ValueLink* chosen = links.size() == 1 ? links.front() : nullptr;
      for (const ValueLink* link : links) {
        if (chosen == nullptr && named_beside(*link)) chosen = link;
      }
      if (chosen == nullptr) return false;
      filters_[chosen->column].push_back(chosen->value);
    }
    return std::ranges::count(linked_.uses, WordUse::kValue) == 0 || !filters_.empty();
  }
  bool named_beside(const ValueLink& link) const {
    const auto names = [&](std::size_t w) {
      return w < used_.size() &&
             std::ranges::find(linked_.columns[w], link.column) != linked_.columns[w].end();
    };
    return (link.words.begin > 0 && names(link.words.begin - 1)) || names(link.words.end);
  }

  /// "Between 9:30 and 10:00", "after 18:00": times of day, of the one column of days with times. Its words are used then.
  void take_times_of_day() {
    const auto date = std::ranges::find(table_.columns, ColumnKind::kDate, &TableColumn::kind);
    if (std::ranges::count(table_.columns, ColumnKind::kDate, &TableColumn::kind) != 1 ||
        date->max.size() <= std::string_view("2026-03-01").size())
      return;
    const auto at = [&](std::size_t w) { return w < used_.size() ? time_of_day(word(w)) : std::string(); };
    const auto add = [&](const char* sign, const std::string& time) {
      times_.push_back(fmt::format("substr({}, 12) {} '{}'", date->name, sign, time));
    };
    for (std::size_t w = 0; w + 1 < used_.size(); ++w) {
      const bool range = word(w) == "between" || word(w) == "from";
      const std::string first = at(w + 1);
      if (first.empty()) continue;
      if (range && !at(w + 3).empty()) {
        add(">=", first);
        add("<", at(w + 3));
        for (std::size_t i = w; i < w + 4; ++i) used_[i] = true;
      } else if (word(w) == "after" || word(w) == "since" || word(w) == "before" || word(w) == "until") {
        add(word(w) == "after" || word(w) == "since" ? ">=" : "<", first);
        used_[w] = used_[w + 1] = true;
      }
    }
  }

  /// A year, a month of a year, a day: of the one column of days. Any other number is not understood.
  bool filter_time() {
    std::string year, month;
    for (std::size_t w = 0; w < used_.size(); ++w) {
      if (used_[w]) continue;
      if (linked_.uses[w] == WordUse::kNumber) {
        if (word(w).size() != 4 || (!word(w).starts_with("19") && !word(w).starts_with("20")) ||
            !year.empty())
          return false;
        year = word(w);
      } else if (linked_.uses[w] == WordUse::kTime) {
        if (!month.empty() || !year.empty()) return false;
        const auto day = read_date("1 " + word(w) + " 2000", DayOrder::kDayFirst);
        const auto date = read_date(question_.words()[w].written, DayOrder::kMonthFirst);
        if (date && date->iso.size() == 10 && word(w).starts_with(date->iso.substr(0, 4))) {
          time_ = date->iso;
        } else if (day) {
          month = day->iso.substr(5, 2);
        } else {
          return false;
        }
      }
    }
    if (!month.empty() && year.empty()) return false;
    if (!year.empty()) time_ = month.empty() ? year : year + "-" + month;
    if (time_.empty()) return true;
    const auto dates = std::ranges::count(table_.columns, ColumnKind::kDate, &TableColumn::kind);
    return dates == 1;
  }

  /// The column that is left when those of the filters are taken away; several: it isn't understood.
  bool find_target() {
    std::set<std::size_t> named;
    for (std::size_t w = 0; w < used_.size(); ++w) {
      if (used_[w] || linked_.uses[w] != WordUse::kColumn) continue;
      const auto& columns = linked_.columns[w];
      if (is_asking(word(w)) && (columns.size() > 1 || (kind_ == "rank" && pair() != filters_.end())))
        continue;
      if (kind_ == "count" && says_when(w)) continue;
      if (!kind_.empty() && columns.size() > 1 && says_rows(w)) continue;
      if (std::ranges::any_of(columns, [&](std::size_t c) { return filters_.contains(c); })) continue;
      if (columns.size() == 1) {
        named.insert(columns.front());
        continue;
      }
      std::vector<std::size_t> full;
      for (const std::size_t c : columns) {
        if (all_named(c)) full.push_back(c);
      }
      if (full.empty()) {  // of those that the table itself has, if it is one
        for (const std::size_t c : columns) {
          if (column(c).source.empty()) full.push_back(c);
        }
        if (full.size() != 1) return false;
      }
      // The name that says most: "manager salary" over "manager" and "salary".
      const auto longest =
          std::ranges::max(full, {}, [&](std::size_t c) { return name_words(column(c).written).size(); });
      const auto words = name_words(column(longest).written).size();
      if (std::ranges::count_if(
              full, [&](std::size_t c) { return name_words(column(c).written).size() == words; }) > 1)
        return false;
      named.insert(longest);
    }
    targets_.assign(named.begin(), named.end());
    return true;
  }
  static bool is_asking(const std::string& word) {
    return word == "what" || word == "which" || word == "when" || word == "where" || word == "who";
  }
  bool all_named(std::size_t c) const {
    return std::ranges::all_of(name_words(column(c).written), [&](const std::string& part) {
      return std::ranges::any_of(question_.words(),
                                 [&](const QuestionWord& w) { return word_stem(w.normal) == part; });
    });
  }

  std::string where() const {
    std::vector<std::string> parts;
    for (const auto& [c, values] : filters_) {
      std::string list;
      for (const std::string& value : values)
        list += (list.empty() ? "" : ", ") + sql_literal(value, column(c));
      parts.push_back(values.size() == 1 ? fmt::format("{} = {}", column(c).name, list)
                                         : fmt::format("{} IN ({})", column(c).name, list));
    }
    if (!time_.empty()) {
      const auto date = std::ranges::find(table_.columns, ColumnKind::kDate, &TableColumn::kind);
      parts.push_back(fmt::format("substr({}, 1, {}) = '{}'", date->name, time_.size(), time_));
    }
    parts.insert(parts.end(), times_.begin(), times_.end());
    std::string out;
    for (const std::string& part : parts) out += (out.empty() ? " WHERE " : " AND ") + part;
    return out;
  }

  /// "Orders", where a column numbers them.
  bool says_rows(std::size_t w) const {
    const auto& columns = linked_.columns[w];
    return std::ranges::any_of(columns, [&](std::size_t c) { return numbers_rows(column(c)); }) &&
           std::ranges::none_of(columns, [&](std::size_t c) { return all_named(c); });
  }
  /// "Sailed" of "sailed after 18:00": the column that a time is of.
  bool says_when(std::size_t w) const {
    const bool timed = !time_.empty() || !times_.empty();
    return timed && !linked_.columns[w].empty() &&
           std::ranges::all_of(linked_.columns[w],
                               [&](std::size_t c) { return column(c).kind == ColumnKind::kDate; });
  }
  bool says_rows_alone(std::size_t w) const {
    return !linked_.columns[w].empty() &&
           std::ranges::all_of(linked_.columns[w], [&](std::size_t c) { return numbers_rows(column(c)); });
  }
  /// "How many orders" counts the rows where each is one.
  bool numbers_rows(const TableColumn& column) const {
    const bool first = &column == &table_.columns.front();
    return looks_like_key(column) || (first && column.is_unique() && column.distinct == table_.rows);
  }

  std::optional<std::string> select() {
    if (targets_.size() > 1) return std::nullopt;
    const TableColumn* target = targets_.empty() ? nullptr : &column(targets_.front());
    std::string item;
    const bool one_row =
        std::ranges::any_of(linked_.links, [](const ValueLink& link) { return link.rows == 1; });
    if (!kind_.empty() && one_row) return std::nullopt;
    if (kind_.empty()) {
      if (target == nullptr || linked_.links.empty() ||
          !(is_asking(word(0)) || is_asking(word(1)) || (word(0) == "how" && word(1) == "much")) ||
          !time_.empty() || filters_.size() != linked_.links.size())
        return std::nullopt;
      item = "DISTINCT " + target->name;
    } else if (kind_ == "count" && totals_ && target != nullptr && target->is_number() &&
               !numbers_rows(*target)) {
      item = fmt::format("SUM({})", target->name);  // "the total number of copies"
    } else if (kind_ == "count") {
      if (distinct_ && target == nullptr) return std::nullopt;
      // "how many units" may be a sum, "in the city of order 7" is another question.
      if (!distinct_ && target != nullptr && !numbers_rows(*target)) return std::nullopt;
      item = distinct_ ? fmt::format("COUNT(DISTINCT {})", target->name) : std::string("COUNT(*)");
    } else {
      const bool extreme = kind_ == "max" || kind_ == "min";
      if (target == nullptr || !target->is_number() || (extreme && word(0) != "what")) return std::nullopt;
      const char* function = kind_ == "sum"    ? "SUM"
                             : kind_ == "mean" ? "AVG"
                             : kind_ == "max"  ? "MAX"
                                               : "MIN";
      item = fmt::format("{}({})", function, target->name);
    }
    return fmt::format("SELECT {} FROM {}{}", item, table_.name, where());
  }

  const SurveyedTable& table_;
  const TableQuestion& question_;
  const LinkedQuestion& linked_;
  std::vector<bool> used_;
  std::string kind_, time_;
  std::vector<std::string> times_;  // conditions
  bool distinct_ = false, totals_ = false, groups_ = false, how_often_ = false;
  const char* direction_ = "DESC";
  std::size_t noun_ = 0;   // after the word that ranks
  std::size_t after_ = 0;  // the aggregate's words
  Filters filters_;
  std::vector<std::size_t> targets_;
};

}  // namespace

std::optional<std::string> planned_select(const SurveyedTable& table, const TableQuestion& question,
                                          const LinkedQuestion& linked) {
  return Planner(table, question, linked).plan();
}

}  // namespace pmt::rlm
