#include "rlm/query_writer.h"

#include <algorithm>
#include <cctype>
#include <functional>

#include <fmt/format.h>

#include "rlm/tables/select_grammar.h"
#include "text/plain_words.h"

namespace pmt::rlm {
namespace {

constexpr int kQueryTokensMax = 160, kColumnTokensMax = 20;
constexpr std::size_t kHintsMax = 6;

constexpr char kExamples[] =
    "\nExamples, about another table pets (id, name, town, kind, weight, born, owner, owner_city):\n"
    "Question: In which town does Rex live?\nSELECT town FROM pets WHERE name = 'Rex'\n"
    "Question: What is the total weight of the dogs of Ann born in 2020?\n"
    "SELECT SUM(weight) FROM pets WHERE kind = 'dog' AND owner = 'Ann' AND substr(born, 1, 4) = '2020'\n"
    "Question: How many pets live in the town of pet 7?\n"
    "SELECT COUNT(*) FROM pets WHERE town = (SELECT town FROM pets WHERE id = 7)\n"
    "Question: In which city does the owner of Rex live?\nSELECT owner_city FROM pets WHERE name = 'Rex'\n"
    "Question: Which town has the most cats?\n"
    "SELECT town FROM pets WHERE kind = 'cat' GROUP BY town ORDER BY COUNT(*) DESC LIMIT 1\n"
    "Question: Who is heavier, Rex or Tom?\n"
    "SELECT name FROM pets WHERE name IN ('Rex', 'Tom') ORDER BY weight DESC LIMIT 1\n"
    "Question: What is the eye colour of pet 7?\nSELECT 'NOT IN DATA'\n"
    "Use one table alone: it already holds the columns of what it refers to. No JOIN.";

bool holds(const std::string& lower_sql, const std::string& value) {
  return lower_sql.find(text::lower(value)) != std::string::npos;
}

/// "column = value" with any spaces; where it ends, or npos.
std::pair<std::size_t, std::size_t> comparison_at(const std::string& sql, const std::string& column,
                                                  const std::string& literal) {
  for (const char* sign : {" = ", "=", "= ", " ="}) {
    const std::string text = column + sign + literal;
    if (const auto at = sql.find(text); at != std::string::npos) return {at, text.size()};
  }
  return {std::string::npos, 0};
}

}  // namespace

std::string select_in(const std::string& said) {
  std::string text = said;
  if (const auto fence = text.find("```"); fence != std::string::npos) {
    const auto begin = std::min(text.size(), text.find('\n', fence));
    text = text.substr(begin, text.find("```", begin) - begin);
  }
  const std::string lower = text::lower(text);
  auto at = std::min(lower.find("select"), lower.find("with "));
  if (at == std::string::npos) at = 0;
  text = text.substr(at);
  text = text.substr(0, text.find(';'));
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  return text;
}

QueryWriter::QueryWriter(Run& run, const TableQuestion& question, const LinkedQuestion& linked,
                         const SurveyedTable& table)
    : run_(run), question_(question), linked_(linked), table_(table) {}

base::Result<Written> QueryWriter::ask(llm::ResponseFormat form) {
  Written written{.sql = {}, .prompt = messages_};
  const bool choice = form.kind == llm::ResponseFormat::Kind::kChoice;
  AskOptions options{.max_tokens = choice ? kColumnTokensMax : kQueryTokensMax, .stop = {";"}, .exact = true};
  if (run_.root.parameters > 0) options.form = std::move(form);  // it runs here
  run_.on_progress(fmt::format("{} writes a query over {} rows", run_.root.name, table_.rows));
  TRY_ASSIGN(const Answer answer, run_.asker.ask(run_.root, messages_, options));
  written.response = answer.text;
  written.began_s = answer.began_s;
  written.seconds = answer.seconds;
  return written;
}

base::Result<Written> QueryWriter::first(const std::string& card) {
  messages_ = {message(
      "system", "You answer questions about this SQLite table by writing one query.\n\n" + card + kExamples)};
  std::string asked = fmt::format("Question: {}", question_.text());
  for (std::size_t i = 0; i < std::min(linked_.links.size(), kHintsMax); ++i) {
    const ValueLink& link = linked_.links[i];
    const TableColumn& column = table_.columns[link.column];
    asked += fmt::format("\nIn the data: {} = {}", column.name, sql_literal(link.value, column));
  }
  for (std::size_t i = 0; i < std::min(linked_.parts.size(), kHintsMax); ++i) {
    const ValueLink& part = linked_.parts[i];
    asked += fmt::format("\nIn the data: {} rows have {}", part.rows, part_condition(part));
  }
  asked += fmt::format(
      "\nReply with one SQLite SELECT over the table {} alone. If no column holds what is asked, reply SELECT 'NOT IN DATA'.",
      table_.name);
  messages_.push_back(message("user", asked));
  return ask_query();
}

base::Result<Written> QueryWriter::ask_query() {
  TRY_ASSIGN(Written written, ask(grammar_form(select_grammar(table_))));
  written.sql = select_in(written.response);
  last_ = written.sql;
  return written;
}

base::Result<Written> QueryWriter::repaired(const std::string& why) {
  messages_.push_back(message("assistant", last_));
  messages_.push_back(message("user", why + " Reply with the corrected SELECT only."));
  return ask_query();
}

/// "Which path has the most", "who has more, Ann or Bo".
bool QueryWriter::ranks() const {
  const auto& words = question_.words();
  const auto has = [&](std::initializer_list<const char*> any) {
    return std::ranges::any_of(
        words, [&](const QuestionWord& word) { return std::ranges::find(any, word.normal) != any.end(); });
  };
  return has({"who", "which"}) &&
         (has({"most", "fewest"}) || (has({"or"}) && has({"more", "fewer", "less", "higher", "lower"})));
}

std::string QueryWriter::complaint(const std::string& sql) const {
  const std::string lower = text::lower(sql);
  std::string missing;
  for (std::size_t i = 0; i < linked_.links.size(); ++i) {
    const ValueLink& link = linked_.links[i];
    const bool other =
        std::ranges::any_of(linked_.links, [&](const ValueLink& l) {  // the same words in another column
          return l.words.begin == link.words.begin && holds(lower, l.value);
        });
    if (other) continue;
    const TableColumn& column = table_.columns[link.column];
    missing += fmt::format("{}{} = {}", missing.empty() ? "" : " and ", column.name,
                           sql_literal(link.value, column));
  }
  for (const ValueLink& part : linked_.parts) {
    if (!holds(lower, part.value))
      missing += fmt::format("{}{}", missing.empty() ? "" : " and ", part_condition(part));
  }
  std::string out = missing.empty() ? says_again(sql) : fmt::format("It must use {}.", missing);
  if (const std::string several = takes_for_several(sql); !several.empty())
    out += (out.empty() ? "" : " ") + several;
  if (ranks() && lower.find("order by") == std::string::npos && lower.find("max(") == std::string::npos &&
      lower.find("min(") == std::string::npos)
    out += fmt::format("{}It must end with GROUP BY, ORDER BY what is compared, DESC or ASC, and LIMIT 1.",
                       out.empty() ? "" : " ");
  for (std::size_t w = 0; w < question_.words().size(); ++w) {
    const std::string number = text::lower(question_.words()[w].normal);
    if (linked_.uses[w] == WordUse::kNumber && !holds(lower, number))
      out += fmt::format("{}It must use {}.", out.empty() ? "" : " ", number);
  }
  return out;
}

/// "version LIKE '%LTS%'".
std::string QueryWriter::part_condition(const ValueLink& part) const {
  return fmt::format("{} LIKE {}", table_.columns[part.column].name,
                     sql_literal("%" + part.value + "%", TableColumn{}));
}

/// "status = 500 AND bytes = 500": the question says 500 once.
std::string QueryWriter::takes_for_several(const std::string& sql) const {
  if (text::lower(sql).find(" or ") != std::string::npos) return {};
  for (const ValueLink& link : linked_.links) {
    std::vector<const ValueLink*> taken;
    for (const ValueLink& other : linked_.links) {
      const TableColumn& column = table_.columns[other.column];
      if (other.words.begin == link.words.begin && other.words.end == link.words.end &&
          comparison_at(sql, column.name, sql_literal(other.value, column)).first != std::string::npos)
        taken.push_back(&other);
    }
    if (taken.size() < 2) continue;
    std::ranges::stable_sort(taken, std::greater(), &ValueLink::rows);
    std::string conditions;
    for (const ValueLink* one : taken) {
      const TableColumn& column = table_.columns[one->column];
      conditions += fmt::format("{}{} = {}", conditions.empty() ? "" : " or ", column.name,
                                sql_literal(one->value, column));
    }
    return fmt::format("The question says \"{}\" once, of one column: use {}, not several of them.",
                       question_.written(link.words), conditions);
  }
  return {};
}

/// "SELECT code ... WHERE code = 'SEK'": nothing is told by that.
std::string QueryWriter::says_again(const std::string& sql) const {
  for (const ValueLink& link : linked_.links) {
    const TableColumn& column = table_.columns[link.column];
    const bool alone = sql.starts_with(fmt::format("SELECT {} FROM ", column.name)) ||
                       sql.starts_with(fmt::format("SELECT DISTINCT {} FROM ", column.name));
    const auto [at, size] = comparison_at(sql, column.name, sql_literal(link.value, column));
    if (alone && at != std::string::npos)
      return fmt::format(
          "It returns {} alone, which the question says already: it must select another column.",
          column.name);
  }
  return {};
}

base::Result<std::optional<Written>> QueryWriter::hop(const std::string& sql) {
  const std::string lower = text::lower(sql);
  const bool adds = lower.find("sum(") != std::string::npos || lower.find("avg(") != std::string::npos ||
                    lower.find("count(") != std::string::npos;
  if (!adds || lower.find("(select") != std::string::npos) return std::nullopt;
  for (const ValueLink& link : linked_.links) {
    const TableColumn& column = table_.columns[link.column];
    const std::string literal = sql_literal(link.value, column);
    const auto [at, size] = comparison_at(sql, column.name, literal);
    if (!column.is_unique() || at == std::string::npos) continue;
    llm::ResponseFormat form{.kind = llm::ResponseFormat::Kind::kChoice, .schema = {}, .sent = {}};
    for (const TableColumn& other : table_.columns) {
      if (other.source.empty() && other.distinct > 1 && other.distinct * 10 < table_.rows * 9)
        form.choices.push_back(other.name);
    }
    if (form.choices.empty()) return std::nullopt;
    form.sent = nlohmann::json(form.choices).dump();
    messages_.back().content = fmt::format(
        "Question: {}\nThe question is not about the one row where {} = {}, but about all rows that share one value with it. Which column "
        "must be the same? Reply with its name alone.",
        question_.text(), column.name, literal);
    const auto choices = form.choices;
    TRY_ASSIGN(Written written, ask(std::move(form)));
    const auto words = text::plain_words(written.response, {.inside = "_"});
    const auto chosen = std::ranges::find_if(
        choices, [&](const std::string& name) { return std::ranges::find(words, name) != words.end(); });
    if (chosen == choices.end()) return std::nullopt;
    written.sql = sql.substr(0, at) +
                  fmt::format("{0} = (SELECT {0} FROM {1} WHERE {2} = {3})", *chosen, table_.name,
                              column.name, literal) +
                  sql.substr(at + size);
    return written;
  }
  return std::nullopt;
}

}  // namespace pmt::rlm
