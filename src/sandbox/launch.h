// How each kind of interpreter is started: its command line, and whether it works on this machine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "sandbox/channel.h"
#include "sandbox/child.h"
#include "sandbox/sandbox.h"

namespace pmt::sandbox {

/// One interpreter that has said hello and has not run anything.
struct Interpreter {
  Child child;
  std::unique_ptr<Channel> channel;
};

class Launcher {
 public:
  /// Errors: kUnavailable, what this kind lacks here and how to get it.
  static base::Result<Launcher> bubblewrap(const SandboxOptions& options);
  static base::Result<Launcher> monty(const SandboxOptions& options);

  Kind kind() const { return kind_; }
  /// Errors: kUnavailable, with what the process said. See Child::start on the calling thread.
  base::Result<Interpreter> start() const;

 private:
  Launcher(Kind kind, std::vector<std::string> argv, const Limits& limits)
      : kind_(kind), argv_(std::move(argv)), limits_(limits) {}

  Kind kind_;
  std::vector<std::string> argv_;
  Limits limits_;
};

}  // namespace pmt::sandbox
