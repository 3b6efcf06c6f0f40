// What a root model's answer holds: blocks to run, or a last word.
#include <algorithm>
#include <string_view>

#include "rlm/repl_program.h"

namespace pmt::rlm {
namespace {

constexpr std::string_view kFence = "```";

struct Fenced {
  std::size_t begin, end;  // the whole block, fences included
  std::size_t code_begin, code_end;
  bool runs;
};

std::vector<Fenced> fenced(const std::string& text) {
  std::vector<Fenced> blocks;
  for (std::size_t at = text.find(kFence); at != std::string::npos;) {
    const std::size_t line_end = text.find('\n', at);
    if (line_end == std::string::npos) break;
    std::string language = text.substr(at + kFence.size(), line_end - at - kFence.size());
    while (!language.empty() && (language.back() == ' ' || language.back() == '\r')) language.pop_back();
    std::size_t close = text.find("\n```", line_end - 1);
    const bool open = close == std::string::npos;  // cut short by the length limit: what is there still runs
    if (open) close = text.size();
    const std::size_t end = open ? close : close + 1 + kFence.size();
    const std::size_t code_begin = std::min(line_end + 1, close);
    blocks.push_back({at, end, code_begin, close, language == "repl" || language == "python"});
    at = text.find(kFence, end);
  }
  return blocks;
}

}  // namespace

std::vector<std::string> repl_blocks(const std::string& text) {
  std::vector<std::string> codes;
  for (const Fenced& block : fenced(text)) {
    if (block.runs) codes.push_back(text.substr(block.code_begin, block.code_end - block.code_begin));
  }
  return codes;
}

FinalCall final_call(const std::string& text) {
  std::string outside;
  std::size_t at = 0;
  for (const Fenced& block : fenced(text)) {
    outside += text.substr(at, block.begin - at);
    at = block.end;
  }
  outside += "\n" + text.substr(at);
  for (const char* name : {"FINAL_VAR", "FINAL"}) {
    const std::string opening = std::string(name) + "(";
    std::size_t begin = outside.starts_with(opening) ? 0 : outside.find("\n" + opening);
    if (begin == std::string::npos) continue;
    begin = outside.find('(', begin) + 1;
    std::size_t end = outside.rfind(')');
    if (end == std::string::npos || end < begin) end = outside.size();
    std::string argument = outside.substr(begin, end - begin);
    const auto quoted = [&argument](char q) {
      return argument.size() >= 2 && argument.front() == q && argument.back() == q;
    };
    if (quoted('"') || quoted('\'')) argument = argument.substr(1, argument.size() - 2);
    return {.name = name, .argument = argument};
  }
  return {};
}

}  // namespace pmt::rlm
