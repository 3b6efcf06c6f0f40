// Where libllama's and ggml's chatter goes: to our log at debug level, never to stderr, and, while a capture
// is alive, into the reason of an error that we return.
// Thread-safety: any thread may call anything; a capture sees only what its own thread makes libllama say.
#pragma once

#include <string>

namespace pmt::model {

/// Routes libllama's log to spdlog and initialises its backends, once a process. Everything in this room that
/// calls libllama calls this first.
void init_llama();

/// Collects the error lines that libllama logs on this thread while alive. Captures nest.
class LlamaLogCapture {
 public:
  LlamaLogCapture();
  ~LlamaLogCapture();
  LlamaLogCapture(const LlamaLogCapture&) = delete;
  LlamaLogCapture& operator=(const LlamaLogCapture&) = delete;

  /// Why it failed: the first error line, without the name of libllama's function; "" when it said nothing.
  std::string reason() const;

 private:
  friend void on_llama_log(int level, const char* text);
  LlamaLogCapture* outer_;
  std::string errors_;
};

}  // namespace pmt::model
