// Everything that answers requests but the network: local models, the response cache in front of each, the engines,
// the audit's rows, the API. Nothing is decided here; every part is asked for by the config.
//
//   net::Handler -> api::Api --"smollm2-..."--> CachedCompleter -> LocalModel
//                            --"permutation"--> Engine ----------> LocalModel (the first one)
//                            --"provider/..."--> CachedCompleter -> another server (upstreams.h)
//
// Thread-safety: the handler and the cache from any thread; the rest from one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/result.h"
#include "net/http.h"
#include "response_cache/response_cache.h"

namespace pmt::app {

/// What depends on the program that all this is in.
struct ServiceParts {
  /// The program that looks at the response cache's file before it is opened; empty: it is looked at in this
  /// process, which a damaged file may then end.
  std::vector<std::string> store_checker = {};
};

class Service {
 public:
  /// Loads the models. Errors: one can't be found or loaded; nothing is left running.
  static base::Result<std::unique_ptr<Service>> open(const Config& config, ServiceParts parts,
                                                     const base::Clock& clock);
  /// stop()
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Every endpoint. Valid as long as the service.
  net::Handler handler();
  response_cache::ResponseCache& cache();
  /// The name of the first local model; "" without one.
  const std::string& model_name() const;
  /// Takes over the keys and the prices; nothing else of `config`. What runs goes on.
  void reload(const Config& config);
  /// Ends the streams that would never end by themselves.
  void close_streams();
  /// Ends what runs and frees the models; the cache stays. Requires: no further request comes. Idempotent.
  void stop();

 private:
  struct Impl;
  explicit Service(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pmt::app
