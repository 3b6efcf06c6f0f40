// GBNF of texts in which certain words don't occur, so that what begins with one of the words can follow: calls
// within text. Thread-safety: pure. Cost: a rule for each character of the words.
#pragma once

#include <string>
#include <vector>

namespace pmt::model {

/// Rules any-0, any-1, ...: any-0 is a text without the words, which may end anywhere.
std::string text_without(const std::vector<std::string>& words);

}  // namespace pmt::model
