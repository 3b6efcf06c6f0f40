#include "model/llama_log.h"

#include <mutex>
#include <string_view>

#include <ggml.h>
#include <llama.h>
#include <spdlog/spdlog.h>

namespace pmt::model {
namespace {

thread_local LlamaLogCapture* current_capture = nullptr;
/// A line that continues the last one (GGML_LOG_LEVEL_CONT) has no level of its own.
thread_local int last_level = GGML_LOG_LEVEL_INFO;

/// "gguf_init_from_file_ptr: invalid magic" -> "invalid magic".
std::string_view without_function_name(std::string_view line) {
  const auto colon = line.find(": ");
  if (colon == std::string_view::npos || line.substr(0, colon).find(' ') != std::string_view::npos)
    return line;
  return line.substr(colon + 2);
}

std::string_view without_line_ends(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

}  // namespace

void on_llama_log(int level, const char* text) {
  if (level == GGML_LOG_LEVEL_CONT) level = last_level;
  last_level = level;
  if (level == GGML_LOG_LEVEL_ERROR && current_capture != nullptr) current_capture->errors_ += text;
  spdlog::debug("libllama: {}", without_line_ends(text));
}

void init_llama() {
  static std::once_flag once;
  std::call_once(once, [] {
    llama_log_set([](ggml_log_level level, const char* text, void*) { on_llama_log(level, text); }, nullptr);
    llama_backend_init();
  });
}

LlamaLogCapture::LlamaLogCapture() : outer_(current_capture) {
  current_capture = this;
}

LlamaLogCapture::~LlamaLogCapture() {
  current_capture = outer_;
}

std::string LlamaLogCapture::reason() const {
  const std::string_view all = errors_;
  return std::string(without_function_name(without_line_ends(all.substr(0, all.find('\n')))));
}

}  // namespace pmt::model
