// Errors on their way out: the rooms' and the API's, as codes of permutation.h. Thread-safety: pure functions, but for the
// texts that they fill.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include <permutation/permutation.h>

#include "base/result.h"

namespace pmt::embed {

/// What a call came to; PERMUTATION_OK: no error.
struct Failure {
  int code = PERMUTATION_OK;
  std::string message = {};
  std::string field = {};
};

Failure failure_of(const base::Error& error);
/// Of an answer with such a status: {"error": {"message", "param"}}, or any other text.
Failure failure_of(int status, std::string_view body);
Failure closed();
/// Of what the caller gave.
inline Failure bad(std::string message, std::string field = {}) {
  return {PERMUTATION_INVALID, std::move(message), std::move(field)};
}

/// Fills `error`, if there is one, and returns the code.
int tell(const Failure& failure, permutation_error* error);

/// An owned text, for the caller.
permutation_text text_of(std::string text);

/// Runs `body`, which returns a Failure: the last net, under every function of the interface.
template <class Body>
int answered(permutation_error* error, Body&& body) noexcept {
  try {
    return tell(body(), error);
  } catch (const std::exception& thrown) {
    return tell({PERMUTATION_INTERNAL, thrown.what()}, error);
  } catch (...) {
    return tell({PERMUTATION_INTERNAL, "an unknown exception"}, error);
  }
}

}  // namespace pmt::embed
