// Errors of commands: one line on stderr that says what to do, and the exit code.
#pragma once

#include <cstdio>

#include <fmt/format.h>

#include "app/exit_code.h"
#include "base/result.h"

namespace pmt::app {

inline int report_error(const base::Error& error) {
  fmt::print(stderr, "permutation: {}\n", error.message);
  return kExitFailed;
}

inline int report_wrong_usage(const base::Error& error) {
  report_error(error);
  return kExitWrongUsage;
}

/// Wrong usage if the error says that what was given can't be right, else a failure.
inline int report_by_code(const base::Error& error) {
  return error.code == base::Code::kInvalidArgument ? report_wrong_usage(error) : report_error(error);
}

}  // namespace pmt::app
