// A net under every thread: an exception ends the one item that it belongs to (a request, a job, a callback),
// is counted, and is told to a handler with its place. Note 0019 says which thread has which items.
//
//   const base::Status ended = base::guarded({Thread::kIntake, request.id}, [&] { return submit(request); });
//
// Thread-safety: any thread may call anything; set_exception_handler once, before the threads start.
// Cost: none where nothing is thrown. Nothing here throws, not even where memory is out.
#pragma once

#include <array>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.h"

namespace pmt::base {

/// Where an exception was caught: the label of permutation_exceptions_total.
enum class Thread : std::uint8_t {
  kIntake,      // encodes a local model's prompts
  kForms,       // compiles forms (response_format, tools)
  kScheduler,   // runs a local model
  kLoader,      // loads and unloads models that come on demand
  kEmbedder,    // runs the embedding model
  kHttp,        // I/O threads of the server
  kClient,      // the HTTP client's own
  kUpstream,    // a call to an upstream, on either of the two before
  kRlm,         // one job of RecursiveLanguageModel
  kSandbox,     // starts interpreters
  kDashboard,   // makes snapshots
  kCache,       // followers of a shared computation
  kDisk,        // writes the response store, and what keys have spent
  kSemantic,    // the semantic tier's callbacks and its restoring
  kRedis,       // the shared tier's
  kTelemetry,   // sends spans
  kBackground,  // an endpoint's slow work
  kKnowledge,   // learns
  kSink,        // whoever listens to a request's events
};
inline constexpr std::size_t kThreads = 19;
const char* to_string(Thread thread);

/// Whose work it is, and where it is guarded: the defaults are the place that makes the object.
struct Guard {
  Thread thread;
  std::string_view request = {};  // its id, "" if it is nobody's
  const char* file = __builtin_FILE();
  int line = __builtin_LINE();
};

struct Caught {
  Guard guard;
  const char* what;
};

/// Gets each caught exception, on the thread that caught it. Without one they go to stderr.
void set_exception_handler(std::function<void(const Caught&)> handler);
std::uint64_t exceptions_caught(Thread thread);

/// Counts and tells what is being handled. kInternal, with the request's id.
/// Requires: called in a catch block.
Error caught_exception(const Guard& guard) noexcept;

/// kInternal: what whoever sent this request is told of an exception that its log tells in full.
Error internal_error(std::string_view request) noexcept;

/// So that a thread that throws again at once doesn't take a core.
void pause_after_exception() noexcept;

/// Runs `fn` (returns Status or nothing). What it throws becomes an error.
template <class Fn>
Status guarded(const Guard& guard, Fn&& fn) noexcept {
  try {
    if constexpr (std::is_void_v<std::invoke_result_t<Fn>>) {
      std::forward<Fn>(fn)();
      return {};
    } else {
      return std::forward<Fn>(fn)();
    }
  } catch (...) {
    return caught_exception(guard);
  }
}

/// The same where nobody waits for the outcome: the exception is counted and told, and that is all. False if
/// there was one.
template <class Fn>
bool survives(const Guard& guard, Fn&& fn) noexcept {
  return guarded(guard, [&] { std::forward<Fn>(fn)(); }).has_value();
}

/// A thread's whole life: runs `fn` again, after a pause, as often as an exception gets out of it.
template <class Fn>
void keep_running(const Guard& guard, Fn&& fn) noexcept {
  while (!survives(guard, fn)) pause_after_exception();
}

}  // namespace pmt::base
