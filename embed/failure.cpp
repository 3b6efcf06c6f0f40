#include "embed/failure.h"

#include <cstring>
#include <memory>
#include <utility>

#include "base/json.h"
#include "base/utf8.h"

namespace pmt::embed {
namespace {

int code_of(base::Code code) {
  using base::Code;
  switch (code) {
    case Code::kInvalidArgument:
      return PERMUTATION_INVALID;
    case Code::kNotFound:
      return PERMUTATION_NOT_FOUND;
    case Code::kTooLarge:
      return PERMUTATION_TOO_LARGE;
    case Code::kUnauthorized:
    case Code::kForbidden:
    case Code::kUnprocessable:
    case Code::kConflict:
      return PERMUTATION_REFUSED;
    case Code::kExhausted:
    case Code::kOverBudget:
    case Code::kUnavailable:
      return PERMUTATION_BUSY;
    case Code::kCancelled:
      return PERMUTATION_CANCELLED;
    case Code::kDeadline:
      return PERMUTATION_TIMEOUT;
    case Code::kBadGateway:
      return PERMUTATION_UPSTREAM;
    case Code::kCorrupt:
    case Code::kIo:
      return PERMUTATION_IO;
    case Code::kInternal:
      return PERMUTATION_INTERNAL;
  }
  return PERMUTATION_INTERNAL;
}

/// api/errors.h, backwards.
int code_of_status(int status, std::string_view code) {
  if (code == "context_length_exceeded" || status == 413) return PERMUTATION_TOO_LARGE;
  if (code == "not_cached") return PERMUTATION_NOT_FOUND;
  switch (status) {
    case 400:
    case 405:
      return PERMUTATION_INVALID;
    case 404:
      return PERMUTATION_NOT_FOUND;
    case 429:
    case 503:
      return PERMUTATION_BUSY;
    case 499:
      return PERMUTATION_CANCELLED;
    case 408:
    case 504:
      return PERMUTATION_TIMEOUT;
    case 502:
      return PERMUTATION_UPSTREAM;
    default:
      return status >= 500 ? PERMUTATION_INTERNAL : PERMUTATION_REFUSED;
  }
}

template <std::size_t N>
void copy(std::string_view text, char (&out)[N]) {
  const std::string_view kept = base::cut_utf8(text, N - 1);
  std::memcpy(out, kept.data(), kept.size());
  out[kept.size()] = '\0';
}

}  // namespace

Failure failure_of(const base::Error& error) {
  return {code_of(error.code), error.message, error.field};
}

Failure failure_of(int status, std::string_view body) {
  const auto parsed = base::parse_json(body);
  if (!parsed) return {code_of_status(status, ""), std::string(body)};
  const nlohmann::json& error = base::object_at(*parsed, "error");
  return {code_of_status(status, base::text_at(error, "code")), base::text_at(error, "message"),
          base::text_at(error, "param")};
}

Failure closed() {
  return {PERMUTATION_CLOSED, "The handle is closed, NULL, or was opened before a fork(): open a new one."};
}

int tell(const Failure& failure, permutation_error* error) {
  if (error == nullptr || failure.code == PERMUTATION_OK || failure.code == PERMUTATION_END)
    return failure.code;
  error->code = failure.code;
  copy(failure.field, error->field);
  copy(failure.message, error->message);
  return failure.code;
}

permutation_text text_of(std::string text) {
  auto owned = std::make_unique<std::shared_ptr<const void>>();
  const auto kept = std::make_shared<const std::string>(std::move(text));
  *owned = kept;
  return {kept->c_str(), kept->size(), owned.release()};
}

}  // namespace pmt::embed
