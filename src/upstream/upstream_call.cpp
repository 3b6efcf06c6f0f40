#include "upstream/upstream_call.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "upstream/upstream_error.h"

namespace pmt::upstream {

net::AsyncCall upstream_call(const RemoteOptions& options, CallParts parts) {
  net::AsyncCall call{.url = options.base_url,
                      .method = "POST",
                      .target = std::move(parts.target),
                      .headers = {{"content-type", "application/json"},
                                  {"accept", parts.streams ? "text/event-stream" : "application/json"}},
                      .body = std::move(parts.body),
                      .connect_timeout_s = options.timeouts.connect_s,
                      .first_byte_timeout_s = parts.streams ? options.timeouts.first_byte_s : 0,
                      .stall_timeout_s = options.timeouts.stall_s,
                      .total_timeout_s = parts.total_s};
  const bool messages = options.api == llm::Api::kMessages;
  if (messages) call.headers.emplace_back("anthropic-version", "2023-06-01");
  if (!options.api_key.empty()) {
    if (messages) {
      call.headers.emplace_back("x-api-key", options.api_key);
    } else {
      call.headers.emplace_back("authorization", "Bearer " + options.api_key);
    }
  }
  if (!parts.id.empty()) call.headers.emplace_back("x-request-id", std::move(parts.id));
  if (!parts.traceparent.empty()) call.headers.emplace_back("traceparent", std::move(parts.traceparent));
  return call;
}

base::Error named(base::Error error, const RemoteOptions& options) {
  error.message = fmt::format("upstream {}: {}", options.provider, error.message);
  if (error.code == base::Code::kUnauthorized) {
    error.message +=
        options.api_key.empty()
            ? "; no key is configured for it: set api_key_env in its [[upstream]]"
            : fmt::format("; its key came from the environment variable {}", options.api_key_env);
  }
  if (error.code == base::Code::kNotFound) error.field = "model";
  return error;
}

base::Error of_exchange(base::Error error) {
  const bool broke = error.code == base::Code::kIo || error.code == base::Code::kCorrupt;
  if (broke) error.code = base::Code::kBadGateway;
  return error;
}

base::Error of_cancel(const base::CancelToken& cancel) {
  if (cancel.cancelled()) return {base::Code::kCancelled, "the caller left"};
  return {base::Code::kUnavailable, "the server is shutting down"};
}

base::Status check_status(int status, const net::Headers& headers, std::string_view body,
                          std::int64_t now_unix_s) {
  constexpr int kRefused = 400, kHundred = 100;
  if (status >= kRefused) return status_error(status, headers, body, now_unix_s);
  if (status / kHundred == 2) return {};
  return base::Error{base::Code::kBadGateway, fmt::format("it answered {}", status)};
}

base::Status check_cooldown(const Cooldown& cooldown) {
  const double rest_s = cooldown.remaining_s();
  if (rest_s <= 0) return {};
  base::Error cooling{
      base::Code::kUnavailable,
      fmt::format("it failed too often and is left alone for {:.0f} s more", std::ceil(rest_s))};
  cooling.retry_after_s = rest_s;
  return cooling;
}

void note_failure(Cooldown& cooldown, const Retries& retries, const base::Error& error) {
  if (!is_retryable(error.code)) return;
  const bool long_wait = error.retry_after_s > retries.retry_after_max_s;
  cooldown.failed(long_wait ? error.retry_after_s : 0);
}

bool may_retry(const Retries& retries, const base::Error& error, int attempts) {
  return is_retryable(error) && attempts <= retries.attempts_more &&
         error.retry_after_s <= retries.retry_after_max_s;
}

double backoff_s(const Retries& retries, int attempts, double retry_after_s, double random) {
  const double full = std::min(retries.backoff_max_s, retries.backoff_s * std::pow(2.0, attempts - 1));
  return std::max(retry_after_s, full * (0.5 + 0.5 * random));
}

}  // namespace pmt::upstream
