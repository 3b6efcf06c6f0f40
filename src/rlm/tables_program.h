// The program for contexts that are records: the text becomes SQLite tables (rlm/tables), the root model writes one
// SELECT about one of them, and the answer is made of the rows. A question that each of its words explains needs no
// model, and one that names what no table holds is refused without one.
//
// Thread-safety: as Run. Errors: the watch's, the budget's; the model's. Cost: two passes over the text, then a query; at most
// three calls of the root, some 700 prompt tokens each of which the first 90% are the same for every question.
#pragma once

#include <optional>
#include <string>

#include "rlm/run.h"

namespace pmt::rlm {

/// `context_strategy.kind` where the root wrote the query.
inline constexpr const char* kQueryByRoot = "one query by the root model";

/// None: the context is no table, or the question asks for something else than its rows.
base::Result<std::optional<Outcome>> answer_from_tables(Run& run, const std::string& question,
                                                        const std::string& context);

/// Whether answer_from_tables() would answer this request's question. Cost: a copy of the request and a pass over it.
bool asks_tables(const llm::Request& request);

}  // namespace pmt::rlm
