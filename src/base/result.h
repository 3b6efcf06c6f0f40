// Result<T>: a value or an Error, and the TRY macros. Errors are part of each interface: the message is
// written for the person who sent the bad input, and names the field and the way out.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <tl/expected.hpp>

namespace pmt::base {

/// What kind of failure it is. Only api/ maps these to HTTP statuses.
enum class Code {
  kInvalidArgument,  // the caller sent something that can't be right
  kUnauthorized,
  kForbidden,  // known, but not allowed this
  kNotFound,
  kTooLarge,       // a body, a context or a request that doesn't fit a fixed limit
  kUnprocessable,  // well-formed, but can't be acted on (e.g. only-if-cached and not cached)
  kConflict,       // not while things are as they are (e.g. a model that is busy)
  kExhausted,      // a quota or a rate limit
  kOverBudget,     // the dollars that a key may spend are spent
  kUnavailable,    // busy or down: try again later
  kCancelled,      // the caller left
  kDeadline,       // a time limit passed
  kCorrupt,        // foreign bytes (a file, a record) that fail their checks
  kIo,             // the operating system refused
  kBadGateway,     // an upstream answered nonsense, or broke off in the middle
  kInternal,       // our own bug
};

const char* to_string(Code code);

/// What another server said when it refused: its own words, to be passed on.
struct ForeignRefusal {
  int status = 0;  // HTTP's
  std::string type, code;
};

struct Error {
  Code code = Code::kInternal;
  std::string message;
  std::string field = {};    // the request's field at fault, "" if none: OpenAI's "param"
  double retry_after_s = 0;  // kExhausted, kOverBudget, kUnavailable: when to come back, 0 if nobody said
  std::shared_ptr<const ForeignRefusal> foreign = {};  // null: the refusal is ours
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
  Result(Error error)  // NOLINT(google-explicit-constructor): so that "return Error{...}" reads as it does
      : tl::expected<T, Error>(tl::unexpect, std::move(error)) {}
};

using Status = Result<void>;

inline Error invalid(std::string message, std::string field = {}) {
  return Error{Code::kInvalidArgument, std::move(message), std::move(field)};
}

}  // namespace pmt::base

#define PMT_CONCAT_(a, b) a##b
#define PMT_CONCAT(a, b) PMT_CONCAT_(a, b)

/// TRY(expr): returns expr's error from this function, if it has one.
#define TRY(expr)                                     \
  do {                                                \
    if (auto try_result_ = (expr); !try_result_) {    \
      return ::pmt::base::Error(try_result_.error()); \
    }                                                 \
  } while (false)

/// TRY_ASSIGN(auto x, expr): the same, else x = the value.
#define TRY_ASSIGN(lhs, expr) TRY_ASSIGN_(lhs, expr, PMT_CONCAT(try_assign_, __LINE__))
#define TRY_ASSIGN_(lhs, expr, tmp)                 \
  auto tmp = (expr);                                \
  if (!tmp) return ::pmt::base::Error(tmp.error()); \
  lhs = std::move(*tmp)
