// The rows of the tables that a text holds, read one by one and as often as wanted: nothing of the text is kept.
// There is one reader a shape; recogniser.h says which one a text wants.
//
// Thread-safety: one thread's. The text outlives the source; a row's cells live until the next row.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rlm/watch.h"

namespace pmt::rlm {

/// A table with more columns is none that a question could mean.
inline constexpr std::size_t kTableColumnsMax = 300;
/// What of a cell is kept.
inline constexpr std::size_t kCellBytesMax = 4'000;

struct RawCell {
  std::size_t column = 0;
  std::string_view text;
};

struct RawTable {
  std::string name;                     // as a heading has it; "records", "log" where there is none
  std::vector<std::string> columns;     // as written
  std::vector<std::string> about = {};  // words in lower case that say of every row what it is
};

class TableSource {
 public:
  using TakeRow = std::function<base::Status(std::size_t table, std::span<const RawCell> row)>;

  virtual ~TableSource() = default;
  /// Every row, in the text's order; a column of a row comes once at most. Errors: the watch's, take's.
  virtual base::Status read(Watch& watch, const TakeRow& take) = 0;

  /// "CSV", "JSON lines", ...
  virtual std::string_view shape() const = 0;
  /// Known after the first read(); later ones find the same, in the same order.
  const std::vector<RawTable>& tables() const { return tables_; }
  /// Lines (or objects) of the last read() that have not the form of the rest.
  std::int64_t left_out() const { return left_out_; }
  /// Bytes of prose around the tables that the last read() passed over.
  std::size_t prose_bytes() const { return prose_bytes_; }

 protected:
  std::vector<RawTable> tables_;  // NOLINT(readability-identifier-naming): the readers fill it
  std::int64_t left_out_ = 0;     // NOLINT(readability-identifier-naming)
  std::size_t prose_bytes_ = 0;   // NOLINT(readability-identifier-naming)
};

}  // namespace pmt::rlm
