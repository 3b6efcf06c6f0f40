#include "rlm/tables_program.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "rlm/aggregate.h"
#include "rlm/query_writer.h"
#include "rlm/question.h"
#include "rlm/tables/recogniser.h"
#include "rlm/tables/sentence_table.h"
#include "rlm/tables/table_answer.h"
#include "rlm/tables/table_card.h"
#include "rlm/tables/table_loader.h"
#include "rlm/tables/table_planner.h"
#include "rlm/trajectory.h"
#include "text/plain_words.h"

namespace pmt::rlm {
namespace {

using nlohmann::json;

constexpr std::size_t kQuestionBytesMax = 2'000;
constexpr std::int64_t kTableRowsMin = 4;

/// A text is to be made, not a value found.
bool wants_a_text(const TableQuestion& question) {
  static const std::set<std::string> kVerbs = {"summarise", "summarize", "describe", "explain", "translate",
                                               "write",     "draft",     "why",      "rewrite"};
  const auto& words = question.words();
  return words.empty() || kVerbs.contains(words[0].normal) ||
         (words[0].normal == "please" && words.size() > 1 && kVerbs.contains(words[1].normal));
}

/// What no one line tells: a count, a sum, or which is the most.
bool is_about_many(const TableQuestion& question) {
  static const std::set<std::string> kRanks = {"most",   "least", "more",   "less",
                                               "fewest", "fewer", "common", "often"};
  return is_aggregate(question.text()) || std::ranges::any_of(question.words(), [](const QuestionWord& w) {
           return kRanks.contains(w.normal);
         });
}

/// A context that is tables, and a question about them.
struct AskedTables {
  std::unique_ptr<TableSource> source;
  TableSurvey survey;
  LinkedQuestion linked;
};

bool is_table(const AskedTables& tables) {
  std::size_t columns = 0;
  for (const SurveyedTable& one : tables.survey.tables) columns += one.columns.size();
  return tables.survey.rows >= kTableRowsMin && tables.source->left_out() * 9 <= tables.survey.rows &&
         columns >= 2;
}

/// Beside much prose a question is the tables' own only where they explain nearly all of it.
bool is_about_tables(const AskedTables& tables, const TableQuestion& question, std::size_t context_bytes) {
  const LinkedQuestion& linked = tables.linked;
  if (tables.source->prose_bytes() * 5 > context_bytes)
    return linked.unknown.empty() && linked.unexplained.size() <= 1 && linked.about >= 2;
  // Of records alone no passage tells what many of them come to.
  const bool only = tables.survey.tables.size() == 1 && tables.source->prose_bytes() == 0 &&
                    tables.source->shape() != kSentenceShape;
  return linked.about > 0 || !linked.unknown.empty() || (only && is_about_many(question));
}

base::Result<std::optional<AskedTables>> asked_tables(const TableQuestion& question,
                                                      const std::string& context, Watch& watch) {
  if (question.text().size() > kQuestionBytesMax || wants_a_text(question)) return std::nullopt;
  AskedTables tables{.source = recognise_tables(context), .survey = {}, .linked = {}};
  if (tables.source == nullptr) return std::nullopt;
  // What one sentence tells is quoted from it.
  if (tables.source->shape() == kSentenceShape && !is_about_many(question)) return std::nullopt;
  watch.begin("reading records", context.size());
  TRY_ASSIGN(tables.survey, survey_tables(*tables.source, question, watch));
  if (!is_table(tables)) return std::nullopt;
  tables.linked = link_question(tables.survey, question);
  if (!is_about_tables(tables, question, context.size())) return std::nullopt;
  return tables;
}

class TablesProgram {
 public:
  TablesProgram(Run& run, const std::string& question, const std::string& context)
      : run_(run), question_(question), context_(context), watch_(run.watch()) {}

  base::Result<std::optional<Outcome>> answer() {
    TRY_ASSIGN(auto tables, asked_tables(question_, context_, watch_));
    if (!tables) return std::nullopt;
    source_ = std::move(tables->source);
    survey_ = std::move(tables->survey);
    linked_ = std::move(tables->linked);
    run_.on_progress(fmt::format("{}: {}", source_->shape(), size_in_words()));
    begin_report();
    if (!linked_.unknown.empty())
      return refuse(unknown_names(linked_.unknown), "a name that no column and no value holds");
    watch_.begin("loading records", context_.size());
    TRY_ASSIGN(database_, load_tables(*source_, survey_, watch_));
    linked_ = link_question(survey_, question_);
    return ask_tables();
  }

 private:
  const SurveyedTable& table() const { return survey_.tables[linked_.table]; }

  std::string size_in_words() const {
    return fmt::format("{} rows in {} table{}", survey_.rows, survey_.tables.size(),
                       survey_.tables.size() == 1 ? "" : "s");
  }

  void begin_report() {
    outcome_.strategy = {{"program", "tables"},
                         {"why", fmt::format("the context is {}: {}", source_->shape(), size_in_words())},
                         {"context_bytes", context_.size()},
                         {"table", table().name},
                         {"rows", table().rows},
                         {"left_out", source_->left_out()}};
    json values = json::array();
    for (const ValueLink& link : linked_.links)
      values.push_back(fmt::format("{} = {}", table().columns[link.column].name, link.value));
    outcome_.reasoning.push_back({{"step", "link"},
                                  {"values", std::move(values)},
                                  {"unknown", linked_.unknown},
                                  {"unexplained", linked_.unexplained}});
    outcome_.trajectory = {{"run_metadata", run_metadata(run_, 0)}, {"iterations", json::array()}};
  }

  std::optional<Outcome> refuse(const std::string& answer, const std::string& why) {
    outcome_.strategy["kind"] = "refused without a model: " + why;
    return finish(answer);
  }

  std::optional<Outcome> finish(const std::string& answer) {
    outcome_.answer = answer;
    if (!outcome_.trajectory["iterations"].empty())
      outcome_.trajectory["iterations"].back()["final_answer"] = answer;
    return std::move(outcome_);
  }

  base::Result<std::optional<Outcome>> ask_tables() {
    if (const auto sql = planned_select(table(), question_, linked_)) {
      TRY_ASSIGN(const Attempt attempt, run_query({.sql = *sql}));
      if (attempt.why.empty()) {
        outcome_.strategy["kind"] = "the query was made by program, no model was asked";
        return told(attempt);
      }
    }
    if (writes_no_queries(run_.root))
      return refuse(
          fmt::format("Not computed: the question says more than a program can make a query of, and "
                      "{}. The table {} has the columns {}.",
                      why_no_queries(run_.root), table().name, column_names(table())),
          "the root writes no queries");
    outcome_.strategy["kind"] = kQueryByRoot;
    QueryWriter writer(run_, question_, linked_, table());
    TRY_ASSIGN(const std::string sample, sample_card());
    TRY_ASSIGN(Written written, writer.first(sample));
    TRY_ASSIGN(Attempt attempt, run_query(written));
    if (attempt.why.empty()) {
      TRY_ASSIGN(const auto hop, writer.hop(attempt.sql));
      if (hop) return try_hop(*hop, attempt);
    }
    const std::string complaint = attempt.why.empty() ? writer.complaint(attempt.sql) : attempt.why;
    if (complaint.empty() || attempt.not_in_data) return told(attempt);
    TRY_ASSIGN(written, writer.repaired(complaint));
    TRY_ASSIGN(Attempt second, run_query(written));
    // What was only doubted stays unless the correction found something.
    Attempt& last = second.why.empty() || !attempt.why.empty() ? second : attempt;
    if (last.why.empty()) last.left_out = writer.complaint(last.sql);
    return told(last);
  }

  base::Result<std::optional<Outcome>> try_hop(const Written& hop, const Attempt& before) {
    TRY_ASSIGN(const Attempt attempt, run_query(hop));
    return told(attempt.why.empty() ? attempt : before);
  }

  base::Result<std::string> sample_card() {
    TRY_ASSIGN(const QueryResult sample,
               database_->select(fmt::format("SELECT * FROM {} LIMIT 3", table().name), watch_));
    return table_card(table(), sample);
  }

  /// One query run, and put into the trajectory. `why`: it found nothing, or could not be run.
  base::Result<Attempt> run_query(const Written& written) {
    Attempt attempt{.sql = written.sql, .result = {}, .why = {}};
    attempt.not_in_data = written.sql.find("NOT IN DATA") != std::string::npos;
    const auto begin = run_.clock.now();
    auto result = database_->select(written.sql, watch_);
    sandbox::BlockResult block;
    if (!result) {
      if (result.error().code != base::Code::kInvalidArgument && result.error().code != base::Code::kTooLarge)
        return result.error();
      attempt.failed = true;
      attempt.why = fmt::format("{}. The columns of {} are: {}.", result.error().message, table().name,
                                column_names(table()));
      block.error = result.error().message;
    } else {
      attempt.result = std::move(*result);
      attempt.failed = !attempt.result.reads_table && !attempt.not_in_data;
      if (attempt.failed)
        attempt.why = block.error = fmt::format("It reads nothing from the table {}.", table().name);
      if (attempt.result.is_empty() && !attempt.failed) attempt.why = "It returned no rows.";
      block.output = rows_in_words(attempt.result);
      const std::string count = counting_query(attempt.sql, table());
      const auto matched =
          count.empty() ? base::Result<QueryResult>(base::invalid("", "")) : database_->select(count, watch_);
      if (matched && !matched->rows.empty()) attempt.matched = matched->rows[0][0];
      outcome_.strategy["query"] = attempt.sql;
      if (!attempt.matched.empty()) outcome_.strategy["rows_matched"] = std::stoll(attempt.matched);
    }
    block.own_ms = base::ms_between(begin, run_.clock.now());
    record(written, block);
    return attempt;
  }

  void record(const Written& written, const sandbox::BlockResult& block) {
    json& iterations = outcome_.trajectory["iterations"];
    json prompt = json::array();
    for (const llm::Message& m : written.prompt) prompt.push_back({{"role", m.role}, {"content", m.content}});
    iterations.push_back({{"type", "iteration"},
                          {"iteration", iterations.size() + 1},
                          {"prompt", std::move(prompt)},
                          {"response", written.response},
                          {"code_blocks", {to_json(written.sql, block, {})}},
                          {"final_answer", nullptr},
                          {"start_time", written.began_s},
                          {"iteration_time", written.seconds}});
    outcome_.reasoning.push_back({{"step", "query"},
                                  {"by", written.prompt.empty() ? "program" : run_.root.name},
                                  {"query", written.sql},
                                  {"rows", block.output},
                                  {"error", block.error}});
    for (const llm::Message& m : written.prompt) outcome_.bytes_read += m.content.size();
  }

  std::optional<Outcome> told(const Attempt& attempt) {
    return finish(answer_in_words(attempt, table(), linked_, run_.root.name));
  }

  Run& run_;
  const TableQuestion question_;
  const std::string& context_;
  Watch watch_;
  std::unique_ptr<TableSource> source_;
  TableSurvey survey_;
  LinkedQuestion linked_;
  std::unique_ptr<TableDatabase> database_;
  Outcome outcome_;
};

}  // namespace

bool asks_tables(const llm::Request& request) {
  llm::Request copy = request;
  const auto asked = question_of(copy);
  if (!asked || !asked->parts.empty() || asked->text.empty()) return false;
  Watch nobody;
  const auto tables = asked_tables(TableQuestion(asked->question), asked->text, nobody);
  return tables && tables->has_value();
}

base::Result<std::optional<Outcome>> answer_from_tables(Run& run, const std::string& question,
                                                        const std::string& context) {
  return TablesProgram(run, question, context).answer();
}

}  // namespace pmt::rlm
