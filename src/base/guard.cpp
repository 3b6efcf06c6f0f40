#include "base/guard.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <new>
#include <thread>

namespace pmt::base {
namespace {

struct Counters {
  std::array<std::atomic<std::uint64_t>, kThreads> caught{};
};

Counters& counters() {
  static Counters all;
  return all;
}

std::function<void(const Caught&)>& handler() {
  static std::function<void(const Caught&)> one;
  return one;
}

void tell(const Caught& caught) noexcept {
  try {
    if (handler()) return handler()(caught);
  } catch (...) {
    // said below
  }
  std::fprintf(stderr, "exception on thread %s (%s:%d), request '%.*s': %s\n", to_string(caught.guard.thread),
               caught.guard.file, caught.guard.line, static_cast<int>(caught.guard.request.size()),
               caught.guard.request.data(), caught.what);
}

}  // namespace

const char* to_string(Thread thread) {
  static constexpr std::array<const char*, kThreads> kNames = {
      "intake",   "forms",     "scheduler",  "loader",    "embedder", "http", "client",
      "upstream", "rlm",       "sandbox",    "dashboard", "cache",    "disk", "semantic",
      "redis",    "telemetry", "background", "knowledge", "sink"};
  return kNames.at(static_cast<std::size_t>(thread));
}

void set_exception_handler(std::function<void(const Caught&)> given) {
  handler() = std::move(given);
}

std::uint64_t exceptions_caught(Thread thread) {
  return counters().caught.at(static_cast<std::size_t>(thread)).load(std::memory_order_relaxed);
}

void pause_after_exception() noexcept {
  constexpr std::chrono::milliseconds kPause{100};
  std::this_thread::sleep_for(kPause);
}

Error caught_exception(const Guard& guard) noexcept {
  counters().caught.at(static_cast<std::size_t>(guard.thread)).fetch_add(1, std::memory_order_relaxed);
  try {
    throw;
  } catch (const std::exception& error) {
    tell({guard, error.what()});
  } catch (...) {
    tell({guard, "something that is no std::exception"});
  }
  return internal_error(guard.request);
}

Error internal_error(std::string_view request) noexcept {
  try {
    std::string message = "an error of the server's own ended ";
    message += request.empty() ? "this" : "the request ";
    message += request;
    message += "; its log says which";
    return {Code::kInternal, std::move(message)};
  } catch (...) {
    return {Code::kInternal, "out of memory"};  // short enough to need none
  }
}

}  // namespace pmt::base
