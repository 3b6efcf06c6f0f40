#include "rlm/custom_tool.h"

#include <algorithm>
#include <cctype>
#include <set>

#include <fmt/format.h>

namespace pmt::rlm {
namespace {

const std::set<std::string_view> kPythonWords = {
    "False", "None",     "True",  "and",    "as",   "assert", "async",  "await",    "break",
    "class", "continue", "def",   "del",    "elif", "else",   "except", "finally",  "for",
    "from",  "global",   "if",    "import", "in",   "is",     "lambda", "nonlocal", "not",
    "or",    "pass",     "raise", "return", "try",  "while",  "with",   "yield"};

/// Of the REPL, and what the package rlms keeps for itself.
const std::set<std::string_view> kOurNames = {
    "answer",    "context",   "context_search",    "context_slice", "history",           "llm_query",
    "rlm_query", "SHOW_VARS", "llm_query_batched", "FINAL",         "rlm_query_batched", "FINAL_VAR"};

bool is_identifier(std::string_view name) {
  const auto is_letter = [](unsigned char c) { return std::isalpha(c) != 0 || c == '_'; };
  return !name.empty() && is_letter(static_cast<unsigned char>(name[0])) &&
         std::ranges::all_of(name, [&](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return is_letter(byte) || std::isdigit(byte) != 0;
         });
}

}  // namespace

base::Status check_tool_name(std::string_view name) {
  constexpr std::size_t kNameBytesMax = 64;
  if (!is_identifier(name) || name.size() > kNameBytesMax || name[0] == '_' || kPythonWords.contains(name))
    return base::invalid(
        "must be named like a Python variable: letters, digits and _, no leading _, at most 64");
  if (kOurNames.contains(name))
    return base::invalid("must have another name: the REPL has its own of this one");
  return {};
}

std::string tools_described(const CustomTools& tools) {
  std::string out;
  for (const CustomTool& tool : tools) out += fmt::format("- {}: {}\n", tool.name, tool.description);
  return out;
}

}  // namespace pmt::rlm
