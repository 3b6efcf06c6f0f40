#include "rlm/tables/table_answer.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "text/plain_words.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kRowsShown = 5;
constexpr char kLead[] = "Not in the table";

/// Where a word of SQL stands outside of brackets and quotes; npos: nowhere.
std::size_t find_word(const std::string& lower_sql, std::string_view word, std::size_t from) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t at = 0; at + word.size() <= lower_sql.size(); ++at) {
    const char c = lower_sql[at];
    if (c == '\'') quoted = !quoted;
    if (quoted) continue;
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (depth == 0 && at >= from && lower_sql.compare(at, word.size(), word) == 0) return at;
  }
  return std::string::npos;
}

std::string quoted_list(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += fmt::format("{}\"{}\"", out.empty() ? "" : ", ", word);
  return out;
}

/// What stands between SELECT and FROM.
std::string items_of(const std::string& sql) {
  const std::string lower = text::lower(sql);
  const auto from = find_word(lower, " from ", 0);
  if (!lower.starts_with("select ") || from == std::string::npos) return {};
  std::string items = sql.substr(7, from - 7);
  if (text::lower(items).starts_with("distinct ")) items = items.substr(9);
  return items;
}

std::set<std::size_t> columns_in(const std::string& sql, const SurveyedTable& table) {
  const auto words = text::plain_words(sql, {.inside = "_"});
  std::set<std::size_t> out;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    if (std::ranges::find(words, table.columns[c].name) != words.end()) out.insert(c);
  }
  return out;
}

/// Whether the question names a column that was read. Rows alone need no name if anything else of the question is there.
bool reads_what_is_named(const std::set<std::size_t>& read, const LinkedQuestion& linked) {
  if (read.empty()) return linked.about > 0;
  for (std::size_t w = linked.asks_unexplained ? 1 : 0; w < linked.columns.size(); ++w) {
    if (std::ranges::any_of(linked.columns[w], [&](std::size_t c) { return read.contains(c); })) return true;
  }
  if (linked.asks_unexplained) return false;
  return std::ranges::any_of(linked.links, [&](const ValueLink& link) { return read.contains(link.column); });
}

/// "SUM(amount) where kind = 'refund'; 41 of 3000 rows; 3 values of amount are no numbers".
std::string how(const Attempt& attempt, const SurveyedTable& table, const LinkedQuestion& linked) {
  std::string out = items_of(attempt.sql);
  if (const std::string condition = condition_of(attempt.sql); !condition.empty())
    out += " where " + condition;
  if (!attempt.matched.empty()) out += fmt::format("; {} of {} rows", attempt.matched, table.rows);
  for (const std::size_t c : columns_in(attempt.sql, table)) {
    const TableColumn& column = table.columns[c];
    if (column.odd > 0)
      out += fmt::format("; {} values of {} are no {} and don't count", column.odd, column.name,
                         column.is_number() ? "numbers" : "dates");
    if (column.order_guessed) out += fmt::format("; {} was read as month/day", column.name);
    if (!column.unit.empty()) out += fmt::format("; {} is in {}", column.name, column.unit);
  }
  if (!attempt.left_out.empty()) out += fmt::format("; unsure: {}", attempt.left_out);
  if (!linked.unexplained.empty())
    out += fmt::format("; no column or value is named {}", quoted_list(linked.unexplained));
  return out;
}

}  // namespace

std::string rows_in_words(const QueryResult& result) {
  std::string out;
  for (std::size_t r = 0; r < std::min(result.rows.size(), kRowsShown); ++r) {
    std::string line;
    for (const std::string& value : result.rows[r]) line += (line.empty() ? "" : ", ") + value;
    out += (r == 0 ? "" : "; ") + line;
  }
  if (result.rows.size() > kRowsShown)
    out += fmt::format("; ... {}{} rows", result.rows.size(), result.more ? " and more" : "");
  return out;
}

std::string column_names(const SurveyedTable& table) {
  constexpr std::size_t kShown = 40;
  std::string out;
  for (std::size_t c = 0; c < std::min(table.columns.size(), kShown); ++c)
    out += (c == 0 ? "" : ", ") + table.columns[c].name;
  if (table.columns.size() > kShown) out += fmt::format(" and {} more", table.columns.size() - kShown);
  return out;
}

std::string condition_of(const std::string& sql) {
  const std::string lower = text::lower(sql);
  const auto where = find_word(lower, " where ", 0);
  if (where == std::string::npos) return {};
  std::size_t end = sql.size();
  for (const char* word : {" group by ", " order by ", " limit "})
    end = std::min(end, find_word(lower, word, where));
  return sql.substr(where + 7, end - where - 7);
}

std::string counting_query(const std::string& sql, const SurveyedTable& table) {
  const std::string lower = text::lower(sql);
  const std::string from = fmt::format(" from {}", text::lower(table.name));
  const auto at = find_word(lower, from, 0);
  if (at == std::string::npos) return {};
  const std::size_t after = at + from.size();
  if (after < lower.size() && lower.compare(after, 1, " ") != 0) return {};
  const std::string condition = condition_of(sql);
  return fmt::format("SELECT COUNT(*) FROM {}{}{}", table.name, condition.empty() ? "" : " WHERE ",
                     condition);
}

std::string unknown_names(const std::vector<std::string>& names) {
  return fmt::format("{}: no value and no column is {}.", kLead, quoted_list(names));
}

std::string answer_in_words(const Attempt& attempt, const SurveyedTable& table, const LinkedQuestion& linked,
                            const std::string& writer) {
  if (attempt.not_in_data) {
    const std::string named = linked.unexplained.empty() ? "what is asked" : quoted_list(linked.unexplained);
    return fmt::format("{}: no column holds {} (its columns: {}).", kLead, named, column_names(table));
  }
  if (attempt.failed)
    return fmt::format("Not answered: the queries that {} wrote over the table can't be run.", writer);
  if (!attempt.why.empty()) return fmt::format("{}: no row has {}.", kLead, condition_of(attempt.sql));
  const std::string rows = rows_in_words(attempt.result);
  const std::string read = items_of(attempt.sql);
  if (!linked.unexplained.empty() && !reads_what_is_named(columns_in(read, table), linked))
    return fmt::format("{} as asked: no column or value is named {}. Read instead: {} = {} ({}).", kLead,
                       quoted_list(linked.unexplained), read, rows, how(attempt, table, linked));
  return fmt::format("{} ({})", rows, how(attempt, table, linked));
}

}  // namespace pmt::rlm
