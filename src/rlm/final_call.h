// A root model's last word in the text of its answer, as the paper has it: a line FINAL(...) or FINAL_VAR(...).
//
// The argument ends at the bracket that closes the first one, counted outside of strings; what follows is prose.
// What stands inside another notation is no last word: a fenced block, an element of XML (a call of a tool as some
// models write it, a thought), the middle of a line.
// Thread-safety: pure functions. Cost: a few passes over the text.
#pragma once

#include <string>
#include <string_view>

namespace pmt::rlm {

struct FinalCall {
  std::string name;      // FINAL, FINAL_VAR; "": none
  std::string argument;  // of a single string literal what it means, else the text as written
};
FinalCall final_call(const std::string& text);

/// Whether the text outside of blocks calls a tool in XML: code that nothing here would run.
bool calls_in_xml(const std::string& text);

/// The text without its fenced blocks, a line break in place of each.
std::string without_blocks(const std::string& text);

}  // namespace pmt::rlm
