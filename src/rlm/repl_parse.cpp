// The blocks of a root model's answer.
#include <algorithm>
#include <string_view>

#include "rlm/final_call.h"
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

std::string without_blocks(const std::string& text) {
  std::string outside;
  std::size_t at = 0;
  for (const Fenced& block : fenced(text)) {
    outside += text.substr(at, block.begin - at) + "\n";
    at = block.end;
  }
  return outside + text.substr(at);
}

}  // namespace pmt::rlm
