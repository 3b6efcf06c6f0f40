// What stands in for a provider in a measurement of the gateway: a real HTTP server on loopback, in a process
// of its own (so that its CPU time is its own), that answers OpenAI's chat endpoint at once with a fixed
// text, as JSON or as a stream, and that of text completions as a stream. A request whose model is "idle" gets
// its first piece, and the rest after so many seconds as it says in max_tokens.
#pragma once

#include <memory>
#include <string>

#include <sys/types.h>

namespace pmt::lab {

class LoopbackUpstream {
 public:
  /// In a child process; requires that this process has started no thread yet. Ends the process on failure.
  LoopbackUpstream();
  ~LoopbackUpstream();
  LoopbackUpstream(const LoopbackUpstream&) = delete;
  LoopbackUpstream& operator=(const LoopbackUpstream&) = delete;
  const std::string& url() const { return url_; }

 private:
  pid_t pid_ = 0;
  std::string url_;
};

}  // namespace pmt::lab
