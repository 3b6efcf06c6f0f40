// Whether a grammar can be followed at all: a rule that begins with itself would push itself for ever.
// Thread-safety: pure. Cost: linear in the grammar, no recursion.
#pragma once

#include "model/gbnf.h"

namespace pmt::model {

/// Errors: kInvalidArgument. Requires: every rule has an alternative.
base::Status check_no_left_recursion(const Gbnf& grammar);

}  // namespace pmt::model
