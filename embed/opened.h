// What the two handles of permutation.h are.
#pragma once

#include <memory>
#include <utility>

#include <permutation/permutation.h>

#include "base/clock.h"
#include "embed/engine.h"
#include "embed/handle.h"
#include "response_cache/response_cache.h"

namespace pmt::embed {

struct OpenCache {
  std::shared_ptr<response_cache::ResponseCache> cache;
  base::SystemClock clock = {};
};

}  // namespace pmt::embed

struct permutation_engine : pmt::embed::Handle<pmt::embed::Engine> {
  using Handle::Handle;
};

struct permutation_cache : pmt::embed::Handle<pmt::embed::OpenCache> {
  using Handle::Handle;
};

namespace pmt::embed {

/// What `handle`, which may be null, leads to.
inline Handle<Engine>::Use use(permutation_engine* handle) {
  return handle == nullptr ? Handle<Engine>::Use(nullptr) : handle->use();
}
inline Handle<OpenCache>::Use use(permutation_cache* handle) {
  return handle == nullptr ? Handle<OpenCache>::Use(nullptr) : handle->use();
}

}  // namespace pmt::embed
