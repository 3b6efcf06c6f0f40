// A text that may be records, and behind its last zero byte a question or a query: read, surveyed, loaded, linked; then
// the rest as SQL, under small limits. What was loaded can be counted afterwards, whatever the query was.
#include "fuzz/fuzz.h"
#include "rlm/tables/recogniser.h"
#include "rlm/tables/select_grammar.h"
#include "rlm/tables/table_linker.h"
#include "rlm/tables/table_loader.h"
#include "rlm/tables/table_planner.h"

using pmt::fuzz::require;
namespace rlm = pmt::rlm;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = pmt::fuzz::text_of(data, size);
  const auto zero = bytes.rfind('\0');
  const std::string_view text = bytes.substr(0, zero);
  const std::string asked(zero == std::string_view::npos ? "How many are there?" : bytes.substr(zero + 1));
  const auto source = rlm::recognise_tables(text);
  if (source == nullptr) return 0;
  const rlm::TableQuestion question(asked);
  rlm::Watch watch;
  auto survey = rlm::survey_tables(*source, question, watch);
  require(survey.has_value(), "nobody left");
  const auto database =
      rlm::load_tables(*source, *survey, watch, {.steps_max = 100'000, .memory_bytes_max = 8 << 20});
  require(database.has_value(), "what was surveyed can be loaded");
  if (survey->rows == 0) return 0;
  const auto linked = rlm::link_question(*survey, question);
  const rlm::SurveyedTable& table = survey->tables[linked.table];
  require(rlm::select_grammar(table).find("root ::=") != std::string::npos, "every table has a grammar");
  if (const auto sql = rlm::planned_select(table, question, linked))
    require((*database)->select(*sql, watch).has_value(), "a planned query can be run");
  (void)(*database)->select(asked, watch);
  const auto rows = (*database)->select("SELECT COUNT(*) FROM " + table.name, watch);
  require(rows && rows->rows[0][0] == std::to_string(table.rows), "the rows are still there");
  return 0;
}
