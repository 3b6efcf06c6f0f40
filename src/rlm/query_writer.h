// Has the root model write a SELECT over one table: the prompt, the grammar where the model runs here, and what to say
// when a query failed, found nothing, or left out what the question names.
// Thread-safety: one thread's. Errors: the asker's.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "rlm/run.h"
#include "rlm/tables/table_linker.h"

namespace pmt::rlm {

/// A query and how it came about; without a prompt: by program.
struct Written {
  std::string sql;
  std::vector<llm::Message> prompt = {};
  std::string response = {};
  double seconds = 0;
  double began_s = 0;  // since the ledger began
};

class QueryWriter {
 public:
  /// All outlive this.
  QueryWriter(Run& run, const TableQuestion& question, const LinkedQuestion& linked,
              const SurveyedTable& table);

  base::Result<Written> first(const std::string& card);
  /// Requires: first() has answered.
  base::Result<Written> repaired(const std::string& why);
  /// What of the question's values and numbers the query leaves out, as an instruction; "": nothing.
  std::string complaint(const std::string& sql) const;
  /// The query that was meant where one adds up the one row that a unique value names: the model says which column the
  /// rows share with it. None: `sql` is no such query.
  base::Result<std::optional<Written>> hop(const std::string& sql);

 private:
  base::Result<Written> ask(llm::ResponseFormat form);
  base::Result<Written> ask_query();
  bool ranks() const;
  std::string part_condition(const ValueLink& part) const;
  std::string takes_for_several(const std::string& sql) const;
  std::string says_again(const std::string& sql) const;

  Run& run_;
  const TableQuestion& question_;
  const LinkedQuestion& linked_;
  const SurveyedTable& table_;
  std::vector<llm::Message> messages_;
  std::string last_;  // query
};

/// The SELECT in what a model said: without a fence, a semicolon, words around it.
std::string select_in(const std::string& said);

}  // namespace pmt::rlm
