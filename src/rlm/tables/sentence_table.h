// Lines that say the same of other things, as a table: "On 4 May Ann of room 7 wrote that ...; it was filed as praise."
// The words that (nearly) every line has, in one order, are its frame; what stands between them are the columns,
// named by the frame's words beside them, else by what they hold. Also fields with their names in every line
// ("Date: ... || User: ... || Label: ...").
//
// Learnt from some lines of the text's beginning. Thread-safety: as any TableSource. Cost: some 100 MB/s.
#pragma once

#include <memory>

#include "rlm/tables/table_source.h"

namespace pmt::rlm {

inline constexpr std::string_view kSentenceShape = "lines of one form";

/// Null: fewer than nine lines of ten have one frame, or it has no word of its own. `text` outlives the source.
std::unique_ptr<TableSource> sentence_table(std::string_view text);

}  // namespace pmt::rlm
