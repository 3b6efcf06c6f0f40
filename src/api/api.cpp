#include "api/api.h"

#include <random>

#include "api/cache_routes.h"
#include "api/completion_routes.h"
#include "api/embedding_routes.h"
#include "api/metrics_route.h"
#include "api/router.h"
#include "api/status_routes.h"
#include "base/check.h"

namespace pmt::api {
namespace {

std::uint64_t system_random() {
  thread_local std::mt19937_64 generator(std::random_device{}());
  return generator();
}

ApiOptions completed(ApiOptions options) {
  CHECK(options.clock != nullptr);
  for (const auto& [name, model] : options.models) CHECK(model.completer != nullptr);
  for (const auto& [name, model] : options.embedders) CHECK(model.embedder != nullptr);
  if (!options.random) options.random = system_random;
  return options;
}

}  // namespace

struct Api::Impl {
  explicit Impl(ApiOptions given)
      : options(completed(std::move(given))), router(*options.clock, options.random) {
    add_completion_routes(router, options);
    add_embedding_routes(router, options);
    add_cache_routes(router, options);
    add_status_routes(router, options);
    add_metrics_route(router, options);
  }
  const ApiOptions options;
  Router router;
};

Api::Api(ApiOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Api::~Api() = default;

net::Handler Api::handler() {
  return [router = &impl_->router](net::HttpRequest request, std::shared_ptr<net::Responder> responder) {
    router->handle(std::move(request), std::move(responder));
  };
}

}  // namespace pmt::api
