// What one cell of a table says, however it is written: a number ("$1,234.50", "1.234,50 €", "12%", "(300)"), a
// day ("2026-03-01T10:00Z", "1 March 2026", "01/03/2026", "01/Mar/2026:10:00:00 +0000"), or nothing ("", "N/A").
// Thread-safety: pure functions. Cost: one pass over the cell.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pmt::rlm {

/// Which sign stands before the fraction: 1,234.5 or 1.234,5.
enum class DecimalSign : std::uint8_t { kPoint, kComma };
/// Of two numbers that may both be a month.
enum class DayOrder : std::uint8_t { kMonthFirst, kDayFirst };

struct CellNumber {
  double value = 0;
  bool whole = false;          // a whole number that a double holds exactly
  std::string_view unit = {};  // "$", "%", "EUR", ...: where it lies in the cell; "": none
};
/// None for "007" and for more than 15 digits: those are names.
std::optional<CellNumber> read_number(std::string_view cell, DecimalSign sign);

struct CellDate {
  std::string iso;                                            // "2026-03-01" or "2026-03-01 10:00:00"
  bool proves_day_first = false, proves_month_first = false;  // in no other order it would be a day
};
/// Fractions of seconds and time zones are left out: the time is what the clock showed.
std::optional<CellDate> read_date(std::string_view cell, DayOrder order);

/// A time of day, as read_date() writes it: "9:30" is "09:30". "": it is none.
std::string time_of_day(std::string_view text);

/// Nothing is there, in any column: "", "null", "N/A".
bool is_missing(std::string_view cell);
/// Nothing is there if the column holds numbers or days, else it may be a value: "-", "NA", "none", "?".
bool may_be_missing(std::string_view cell);

/// Without spaces at both ends.
std::string_view trimmed_cell(std::string_view cell);

}  // namespace pmt::rlm
