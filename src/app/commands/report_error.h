// Errors of commands: one line on stderr that says what to do, and the exit code. A command that was asked for JSON says them in
// JSON on stdout.
// Thread-safety: any thread, but report_as_json().
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

/// From here on errors are {"error": {"message": ..., "field": ...}} on stdout: --json was given.
void report_as_json();

int report_error(const base::Error& error);
int report_wrong_usage(const base::Error& error);
/// Wrong usage if the error says that what was given can't be right, else a failure.
int report_by_code(const base::Error& error);

}  // namespace pmt::app
