// Numbers within bounds, and multiples, as grammars: what JSON text a number may have, digit by digit.
// Numbers have up to 15 digits before the point and 16 after it (JavaScript's and Python's floats hold no
// more). Thread-safety: pure functions. Cost: a rule a digit, and with multiples one a digit and remainder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "model/schema/gbnf_writer.h"

namespace pmt::model {

/// A decimal number: whole + fraction / 10^digits of it; with its sign apart.
struct Decimal {
  bool negative = false;
  std::int64_t whole = 0;
  std::string fraction = {};  // digits, without zeros at the end
  /// Of a JSON number's text. Null: it has more digits than numbers here have.
  static std::optional<Decimal> parse(const std::string& json);
  bool is_zero() const { return whole == 0 && fraction.empty(); }
};
bool less(const Decimal& a, const Decimal& b);

struct NumberBounds {
  struct Bound {
    Decimal value;
    bool excluded = false;
  };
  std::optional<Bound> min = {}, max = {};
  std::optional<Decimal> multiple_of = {};  // > 0
  bool whole = false;                       // an integer
};

/// The body of a rule, kGbnfNever where no number fits. Errors: kUnprocessable where the multiple has too
/// many remainders to count.
base::Result<std::string> gbnf_of_number(const NumberBounds& bounds, GbnfWriter& rules);

}  // namespace pmt::model
