// Where a program that a model wrote runs: a Python REPL in a process of its own that can reach nothing but
// one channel to us, and on it nothing but the functions that we name.
//
//   auto sandbox = Sandbox::open({});                      // probes the machine, warms two interpreters
//   auto session = (*sandbox)->session({.context = text});
//   auto block = (*session)->run("print(len(context))", call, {});
//
// Two kinds, the same REPL (note 0015 has the threat model):
//   bubblewrap  CPython in empty namespaces (user, pid, net, ipc, uts, mount: read-only, only Python's own
//               files), a seccomp allow-list without processes, sockets or signals, and resource limits;
//   monty       pydantic-monty's interpreter, which has no system calls to give away, where namespaces are
//               refused.
// With neither there is no sandbox, and open() says what is missing: nothing is ever run without one.
//
// The process is an enemy once it has run a block. Every frame that it sends is checked (size, count, shape,
// the block that it belongs to); one that isn't right ends it. Nothing that it does throws or blocks us for
// longer than its limits. Sessions are shared among tenants (base/fair_share.h): none can hold them all.
// Thread-safety: session() from any thread. A Session belongs to one thread. The Sandbox outlives its
// sessions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/cancel.h"
#include "base/result.h"

namespace pmt::sandbox {

struct Limits {
  double block_s = 30;                        // a block's own time: waiting for what it calls is not counted
  std::size_t memory_bytes = 1ULL << 30;      // of addresses, Python's own 30 MB included
  std::size_t output_chars_max = 20'000;      // a block; what is over is counted and dropped
  std::size_t frame_bytes_max = 8ULL << 20;   // one call or one result
  std::size_t block_bytes_max = 64ULL << 20;  // all that a block sends
  int block_calls_max = 1'000;                // more is an error in the program; ten times more ends it
};

enum class Kind { kAuto, kBubblewrap, kMonty };
const char* to_string(Kind kind);

struct SandboxOptions {
  Kind kind = Kind::kAuto;  // kAuto: bubblewrap, else monty
  std::string python = "/usr/bin/python3";
  std::string bubblewrap = "/usr/bin/bwrap";
  std::string monty_home;  // the folder with pydantic_monty and the monty program; empty: none
  int warm = 2;            // interpreters kept ready
  int running_max = 32;    // sessions at once
  int tenant_max = 0;      // of them one tenant's; 0: as many as are left for others
  bool tenants = false;    // whether there may be others
  Limits limits = {};
};

/// Answers a call of the program: its name, and its arguments as a JSON object. Runs in run()'s thread. An
/// error becomes a RuntimeError in the program.
using Call =
    std::function<base::Result<nlohmann::json>(const std::string& function, const nlohmann::json& arguments)>;

struct BlockResult {
  std::string output;             // what it printed, cut
  std::int64_t output_chars = 0;  // what it would have been
  std::string error;              // the traceback, or why it was ended; "": it ran through
  bool ended = false;             // the process is gone, its variables too: the session can't go on
  std::optional<std::string> final_answer;
  std::vector<std::pair<std::string, std::string>> variables;  // name, type
  int calls = 0;
  double own_ms = 0;  // as in block_s
};

struct SessionSetup {
  nlohmann::json context;  // a string or an array of strings: the variable `context`
  std::vector<std::string>
      functions;  // what the program may call beside answer, FINAL, SHOW_VARS, context_slice
  std::string tenant = {};
  base::CancelToken cancel = {};  // asked while it starts and while the context goes over
};

class Session {
 public:
  virtual ~Session() = default;
  /// Runs one block. Whatever the program does is in the result. Errors: the session has ended
  /// (kUnavailable); `cancel` (kCancelled), which ends it.
  virtual base::Result<BlockResult> run(const std::string& code, const Call& call,
                                        const base::CancelToken& cancel) = 0;
  /// Another `context`; variables stay. Errors: kTooLarge (it doesn't fit beside them, or the program is no
  /// longer there), kCancelled; either ends the session.
  virtual base::Status set_context(const nlohmann::json& context, const base::CancelToken& cancel) = 0;
  /// Until the next call none of its threads runs.
  virtual void rest() = 0;
};

class Sandbox {
 public:
  /// Errors: kUnavailable, with what each kind lacks and how to get it.
  static base::Result<std::unique_ptr<Sandbox>> open(SandboxOptions options);
  virtual ~Sandbox() = default;

  virtual Kind kind() const = 0;
  /// Takes a warm interpreter; waits for one only when they are all taken. Errors: kExhausted (running_max,
  /// or the tenant's share of it), kUnavailable (it didn't start), kTooLarge (the context doesn't fit into
  /// memory_bytes), kCancelled.
  virtual base::Result<std::unique_ptr<Session>> session(const SessionSetup& setup) = 0;
};

}  // namespace pmt::sandbox
