// One REPL: the protocol over a Channel, with every frame of the other side checked. See sandbox.h.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "sandbox/frame.h"
#include "sandbox/launch.h"
#include "sandbox/sandbox.h"

namespace pmt::sandbox {

class ProcessSession final : public Session {
 public:
  /// `released` is called once, when the process is gone.
  ProcessSession(Interpreter interpreter, const Limits& limits, std::function<void()> released);
  ~ProcessSession() override;

  base::Status open(const SessionSetup& setup);
  base::Result<BlockResult> run(const std::string& code, const Call& call,
                                const base::CancelToken& cancel) override;
  base::Status set_context(const nlohmann::json& context, const base::CancelToken& cancel) override;
  void rest() override;

 private:
  struct Block;
  /// The context, in frames of a bounded size.
  base::Status send_context(const nlohmann::json& context, const Deadline& deadline);
  /// The context and what is to be done with it; ends the process where it doesn't say that it is ready.
  base::Status give(const nlohmann::json& context, nlohmann::json then, const Deadline& deadline);
  void wake();
  /// One frame of the running block. Returns whether it was the last.
  base::Result<bool> take(nlohmann::json object, Block& block);
  base::Status answer(const CallFrame& asked, Block& block);
  /// Ends the process; returns why it had to be, for the program's author.
  std::string end(const base::Error& why, double own_s);

  Interpreter interpreter_;
  const Limits limits_;
  std::function<void()> released_;
  int blocks_ = 0;
  bool resting_ = false;
};

}  // namespace pmt::sandbox
