#include "upstream/upstream_call.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

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
  if (!options.api_key.empty()) call.headers.emplace_back("authorization", "Bearer " + options.api_key);
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

double backoff_s(const Retries& retries, int attempts, double retry_after_s, double random) {
  const double full = std::min(retries.backoff_max_s, retries.backoff_s * std::pow(2.0, attempts - 1));
  return std::max(retry_after_s, full * (0.5 + 0.5 * random));
}

}  // namespace pmt::upstream
