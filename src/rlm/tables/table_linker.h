// What of a question is in the tables: its values and the columns that it names, the one table that it is about, and
// what no table holds.
//
// A name (a capital inside a sentence, or letters with digits) that no value and no column holds is unknown: the
// tables can't answer. Words that nothing explains are told beside an answer. Thread-safety: pure functions. Cost:
// words of the question times columns.
#pragma once

#include <string>
#include <vector>

#include "rlm/tables/table_survey.h"

namespace pmt::rlm {

/// Words of the question that are a value.
struct ValueLink {
  std::size_t column = 0;
  QuestionPhrase words;
  std::string value;      // as SQL compares with it
  std::int64_t rows = 0;  // that have it
};

/// Why a word of the question is there.
enum class WordUse : std::uint8_t { kUnexplained, kGeneral, kColumn, kValue, kPart, kNumber, kTime };

struct LinkedQuestion {
  std::size_t table = 0;
  std::vector<ValueLink> links;                   // of the table, in the question's order
  std::vector<ValueLink> parts;                   // names that stand in longer values of the table
  std::vector<WordUse> uses;                      // of each word
  std::vector<std::vector<std::size_t>> columns;  // of each word: those that it may name
  std::vector<std::string> unknown;               // names that are nowhere
  std::vector<std::string> unexplained;           // other words that are nowhere, as written
  std::size_t about = 0;                          // words that the table explains
  bool asks_unexplained = false;                  // for what a word says that is nowhere: "what is the ..."
};

/// Without tables: nothing.
LinkedQuestion link_question(const TableSurvey& survey, const TableQuestion& question);

/// Whether it numbers the rows: "order_id", "invoice no".
bool looks_like_key(const TableColumn& column);

/// As SQL compares a column's cells with it.
std::string comparable(std::string_view cell, const TableColumn& column);
/// 'text', or the number as it is.
std::string sql_literal(const std::string& value, const TableColumn& column);

}  // namespace pmt::rlm
