// A test's tables: a text read, loaded and asked about.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "rlm/tables/recogniser.h"
#include "rlm/tables/table_linker.h"
#include "rlm/tables/table_loader.h"

namespace pmt::rlm {

struct LoadedText {
  std::string text;
  TableQuestion question;
  std::unique_ptr<TableSource> source = nullptr;
  TableSurvey survey = {};
  std::unique_ptr<TableDatabase> database = nullptr;
  LinkedQuestion linked = {};

  explicit LoadedText(std::string from, const std::string& asked = "", QueryLimits limits = {})
      : text(std::move(from)), question(asked) {
    source = recognise_tables(text);
    if (source == nullptr) return;
    Watch watch;
    survey = survey_tables(*source, question, watch).value();
    database = load_tables(*source, survey, watch, limits).value();
    linked = link_question(survey, question);
  }
  const SurveyedTable& table(std::size_t n = 0) const { return survey.tables.at(n); }
  base::Result<QueryResult> select(const std::string& sql) {
    Watch watch;
    return database->select(sql, watch);
  }
  /// The first row's values; what was refused and why.
  std::string first(const std::string& sql) {
    const auto result = select(sql);
    if (!result) return "error: " + result.error().message;
    if (result->rows.empty()) return "nothing";
    std::string out;
    for (const std::string& value : result->rows[0]) out += (out.empty() ? "" : ", ") + value;
    return out;
  }
};

/// 300 orders of four reps in three cities.
inline std::string orders_csv() {
  std::string csv = "order_id,rep,city,kind,amount,placed\n";
  const char* reps[] = {"Boris", "Chen", "Elena", "Farid"};
  const char* cities[] = {"Lisbon", "Porto", "New York"};
  for (int i = 0; i < 300; ++i) {
    csv += fmt::format("{},{},{},{},{},{}-{:02}-15\n", 12'000 + i, reps[i % 4], cities[i % 3],
                       i % 5 == 0 ? "refund" : "sale", 10 + i, 2024 + i % 2, 1 + i % 12);
  }
  return csv;
}

}  // namespace pmt::rlm
