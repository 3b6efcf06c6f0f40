// GBNF of texts in which certain words don't occur, so that what begins with one of the words can follow: calls
// within text, an answer after thoughts. Thread-safety: pure. Cost: a rule for each character of the words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pmt::model {

/// Rules any-0, any-1, ...: any-0 is a text without the words, which may end anywhere. `prefix`: in place of any.
std::string text_without(const std::vector<std::string>& words, std::string_view prefix = "any");

/// A grammar with one rule's name changed wherever it is used.
std::string rule_renamed(const std::string& grammar, std::string_view from, std::string_view to);

}  // namespace pmt::model
