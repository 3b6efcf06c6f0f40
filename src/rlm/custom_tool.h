// What a caller gives the programs of `rlm` beside ours (`permutation.rlm.custom_tools`; the package rlms calls it so): a
// value, or Python that defines a function. It runs in the sandbox, where the program runs. Thread-safety: values; pure
// functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pmt::rlm {

struct CustomTool {
  std::string name;
  std::string python;       // leaves a variable of that name
  std::string description;  // for the root
  friend bool operator==(const CustomTool&, const CustomTool&) = default;
};

using CustomTools = std::vector<CustomTool>;

/// Errors, whose message begins with "must": no Python identifier, a word of Python's, or a name of ours.
base::Status check_tool_name(std::string_view name);

/// Lines of the system prompt: "- name: description".
std::string tools_described(const CustomTools& tools);

}  // namespace pmt::rlm
