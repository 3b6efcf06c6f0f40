// Records in a text: lines of JSON objects, of "key: value" or "key=value" pairs, or of a table with a
// header, also among other text. What is asked about them is computed in aggregate.h.
//
// Kept flat: 16 bytes a value and 8 a record, the values where they stand in the text. Thread-safety:
// find_records is a pure function, Records immutable after it. Cost: one pass over the text, some 100 MB/s,
// JSON a third of it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rlm/watch.h"

namespace pmt::rlm {

/// Text with more names of fields holds no records that a question could mean.
inline constexpr std::size_t kFieldsMax = 2'000;

struct NamedValue {
  std::string_view name, value;
};

class Records {
 public:
  struct Cell {
    const char* begin;
    std::uint32_t bytes, field;
    std::string_view value() const { return {begin, bytes}; }
  };

  std::size_t size() const { return rows_.size(); }
  bool empty() const { return rows_.empty(); }
  /// Names in lower case, by their numbers.
  const std::vector<std::string>& fields() const { return names_; }

  std::size_t cells_of(std::size_t record) const { return end_of(record) - rows_[record]; }
  const Cell& cell(std::size_t record, std::size_t n) const { return cells_[rows_[record] + n]; }
  std::optional<std::string_view> value(std::size_t record, std::uint32_t field) const;
  std::optional<std::string_view> value(std::size_t record, const std::string& field) const;

  /// One more record; of two fields of one name the last counts. Values must live as long as this, see
  /// keep().
  void add(const std::vector<NamedValue>& values);
  /// A copy of a value that stands nowhere else.
  std::string_view keep(std::string_view value);

 private:
  struct Hash {
    using is_transparent = void;  // NOLINT(readability-identifier-naming): the library's name
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::size_t end_of(std::size_t record) const {
    return record + 1 < rows_.size() ? rows_[record + 1] : cells_.size();
  }
  std::uint32_t field_of(std::string_view name);

  std::vector<std::string> names_;
  std::unordered_map<std::string, std::uint32_t, Hash, std::equal_to<>> numbers_;
  std::vector<std::size_t> last_cells_;  // by field: where its last value stands
  std::deque<Cell> cells_;               // deques: they grow without a second copy
  std::deque<std::size_t> rows_;         // each record's first cell
  std::deque<std::string> kept_;
  std::string lowered_;
};

/// The records of `text` in order; it must outlive them. None if it has more than kFieldsMax fields. Errors:
/// the watch's.
base::Result<Records> find_records(const std::string& text, Watch& watch);

}  // namespace pmt::rlm
