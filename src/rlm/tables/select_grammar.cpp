#include "rlm/tables/select_grammar.h"

#include <algorithm>

#include <fmt/format.h>

#include "rlm/tables/table_linker.h"

namespace pmt::rlm {
namespace {

/// As a GBNF literal; "": it has signs that one can't hold plainly.
std::string quoted(const std::string& text) {
  const bool plain = std::ranges::all_of(
      text, [](unsigned char c) { return c >= 0x20 && c != '"' && c != '\\' && c != 0x7F; });
  return plain ? "\"" + text + "\"" : std::string();
}

std::string joined(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : " | ") + part;
  return out;
}

/// The values of a column that has few, as literals of SQL; "": any text.
std::string values_of(const TableColumn& column) {
  if (!column.few || column.kind != ColumnKind::kText || column.values.empty()) return {};
  std::vector<std::string> values;
  for (const std::string& value : column.values) {
    values.push_back(quoted(sql_literal(value, column)));
    if (values.back().empty()) return {};
  }
  return joined(values);
}

}  // namespace

std::string select_grammar(const SurveyedTable& table) {
  std::vector<std::string> all, numbers, texts, dates, conditions;
  std::string rules;
  for (const TableColumn& column : table.columns) {
    const std::string name = quoted(column.name);
    all.push_back(name);
    if (column.is_number()) numbers.push_back(name);
    if (column.kind == ColumnKind::kDate) dates.push_back(name);
    if (column.kind != ColumnKind::kText) continue;
    if (const std::string values = values_of(column); !values.empty()) {
      const std::string rule = fmt::format("v{}", conditions.size());
      rules += fmt::format("{} ::= {}\n", rule, values);
      conditions.push_back(
          fmt::format("{0} ((\" = \" | \" != \") {1} | \" IN (\" {1} (\", \" {1})* \")\")", name, rule));
    }
    texts.push_back(name);
  }
  conditions.push_back("col (\" = \" | \" > \" | \" < \") lookup | col \" IS \" \"NOT \"? \"NULL\"");
  if (!texts.empty()) {
    conditions.push_back("tcol ((\" = \" | \" != \" | \" LIKE \") str | \" IN (\" str (\", \" str)* \")\")");
    rules += fmt::format("tcol ::= {}\n", joined(texts));
  }
  if (!numbers.empty()) {
    conditions.push_back(
        "ncol (op num | \" BETWEEN \" num \" AND \" num | \" IN (\" num (\", \" num)* \")\")");
    rules += fmt::format("ncol ::= {}\n", joined(numbers));
  }
  if (!dates.empty()) {
    conditions.push_back(
        "dcol (op day | \" BETWEEN \" day \" AND \" day | \" LIKE \" str) | part (\" = \" day | \" IN (\" day (\", \" day)* \")\")");
    rules += fmt::format("dcol ::= {}\npart ::= \"substr(\" dcol \", \" [1-9] \", \" [1-9] [0-9]? \")\"\n",
                         joined(dates));
  }
  std::vector<std::string> items = {"\"COUNT(*)\"", "\"COUNT(DISTINCT \" col \")\"", "\"DISTINCT \" col",
                                    "col"};
  std::vector<std::string> sums = {"\"COUNT(*)\""};
  if (!numbers.empty()) {
    items.emplace_back("sum");
    sums.emplace_back("sum");
    rules += "sum ::= (\"SUM(\" | \"AVG(\" | \"MIN(\" | \"MAX(\") ncol (\" * \" ncol)? \")\"\n";
  }
  if (!dates.empty()) {
    items.emplace_back("(\"MIN(\" | \"MAX(\") dcol \")\"");
    items.emplace_back("part");
  }
  const std::string group = dates.empty() ? "col" : "(col | part)";
  return fmt::format(
      "root ::= \"SELECT \" (\"'NOT IN DATA'\" | query) \";\"?\n"
      "query ::= item (\", \" item)* from where? (\" GROUP BY \" {3} (\" HAVING \" agg op num)?)? order?\n"
      "order ::= \" ORDER BY \" (agg | col) (\" DESC\" | \" ASC\")? (\" LIMIT \" [1-9] [0-9]?)?\n"
      "from ::= \" FROM {0}\"\nitem ::= {1}\nagg ::= {2}\ncol ::= {4}\n"
      "where ::= \" WHERE \" cond ((\" AND \" | \" OR \") cond)*\ncond ::= {5}\n"
      "lookup ::= \"(SELECT \" (agg | col) from where? order? \")\"\n"
      "op ::= \" = \" | \" != \" | \" > \" | \" < \" | \" >= \" | \" <= \"\n"
      "num ::= \"-\"? [0-9]+ (\".\" [0-9]+)?\nday ::= \"'\" [0-9: -]+ \"'\"\n"
      "str ::= \"'\" ([^'\\n\\r] | \"''\")* \"'\"\n{6}",
      table.name, joined(items), joined(sums), group, joined(all), joined(conditions), rules);
}

}  // namespace pmt::rlm
