// Requests at a fixed rate, whatever the server does: request i is due at begin + i / rate, and its latency
// counts from then on, also while it waits for a free connection. So a server that stalls is charged for
// every request that it kept from being sent (no "coordinated omission"; G. Tene).
//
// One thread, epoll, kept-alive HTTP/1.1 connections. Thread-safety: one thread at a time.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace pmt::lab {

struct LoadOptions {
  std::string url = {};  // http://127.0.0.1:port
  /// The i-th request: method, target and body as a whole HTTP request; see post_of.
  std::function<std::string(int)> request = {};
  double rate = 1000;  // requests a second
  double seconds = 5;
  int connections = 64;
  /// "": any answer of 200 will do; else what its head or body must contain.
  std::string must_contain = {};
};

struct Load {
  std::vector<double> latency_us;     // of whole answers, from when they were due; sorted
  std::vector<double> first_byte_us;  // of the first byte of the body, from when they were due; sorted
  int sent = 0, wrong = 0;            // wrong: another status, not what it must contain, or broken off
  double seconds = 0;                 // until the last answer
  std::string first_wrong;
};

/// Errors: kUnavailable (nobody listens), kDeadline (answers still missing 10 s after the last was due).
base::Result<Load> run_load(const LoadOptions& options);

std::string post_of(const std::string& target, const std::string& body, const std::string& headers = "");

}  // namespace pmt::lab
