// Whether a grammar lets a text be written, byte by byte: for tests, without a vocabulary. Thread-safety: pure.
#pragma once

#include <string>

namespace pmt::model::testing {

/// All of `text`, and an end after it. False also where the grammar can't be read.
bool writes(const std::string& gbnf, const std::string& text);

}  // namespace pmt::model::testing
