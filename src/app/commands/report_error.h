// Errors of commands: one line on stderr that says what to do, and the exit code.
#pragma once

#include <cstdio>
#include <utility>

#include <fmt/format.h>

#include "app/commands/exit_code.h"
#include "base/result.h"

namespace pmt::app {

/// To stderr. Unlike fmt::print it doesn't throw when nobody reads it any more: that is no reason to end.
template <class... T>
void tell(fmt::format_string<T...> format, T&&... args) {
  const std::string text = fmt::format(format, std::forward<T>(args)...);
  std::fwrite(text.data(), 1, text.size(), stderr);
}

inline int report_error(const base::Error& error) {
  tell("permutation: {}\n", error.message);
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
