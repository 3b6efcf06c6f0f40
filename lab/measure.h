// What every measurement shares: which machine and commit it ran on, and how its result is printed.
// Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace pmt::lab {

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Requires a value at least.
double median(std::vector<double> values);

/// Requires sorted values, one at least.
double percentile(const std::vector<double>& sorted, double share);

/// Wilson's 95% interval of a rate; 0 to 1 where nothing was tried.
std::pair<double, double> wilson(double successes, double n);

/// So many tokens that differ, so that no cache line is luckier than in real text; their meaning has no effect on speed.
/// Those of another seed begin otherwise, so that none is read from a prefix. Requires a vocabulary of over 2,000.
std::vector<std::int32_t> some_tokens(int count, int vocabulary, unsigned seed = 1);

/// Of the source that is measured, as git describes it.
std::string commit();

/// CPU model, cores in use and the vector extensions that matter to kernels.
std::string machine();

struct Target {
  std::string what;
  std::string asked;
  double measured = 0;
  bool holds = false;
};

struct Result {
  std::string name;
  int seed = 0;
  std::vector<nlohmann::ordered_json> rows;  // objects with the same keys
  std::vector<Target> targets;
};

/// Prints the table, or with `json` one JSON object, on stdout.
void print(const Result& result, bool json);

/// One line on stderr, so that a long measurement is seen to move.
void progress(const std::string& what);

/// A measurement that can't go on: "error: WHY" on stderr, exit status 1.
[[noreturn]] void fail(const std::string& why);
/// The value, or the end of the measurement.
template <class T>
T need(base::Result<T> result) {
  if (!result) fail(result.error().message);
  return std::move(*result);
}
inline void need(const base::Status& status) {
  if (!status) fail(status.error().message);
}

/// Takes `flag` out of argv; true if it was there.
bool take_flag(std::vector<std::string>& args, std::string_view flag);
/// Takes `flag VALUE` out of argv; `fallback` if it wasn't there.
std::string take_value(std::vector<std::string>& args, std::string_view flag, std::string fallback);
/// The parts of a flag's value that lists several.
std::vector<std::string> split(const std::string& list, char at = ',');

}  // namespace pmt::lab
