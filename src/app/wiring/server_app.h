// The server: everything that answers requests (service.h), behind HTTP.
//
//   client -> net::HttpServer -> Service
//
// Thread-safety: one thread starts and stops it; the rest happens on its own threads.
#pragma once

#include <memory>
#include <string>

#include "app/config/config.h"
#include "base/clock.h"
#include "base/result.h"

namespace pmt::app {

class ServerApp {
 public:
  /// Loads the models and listens. Errors: a model can't be found or loaded, the address can't be bound;
  /// nothing is left running.
  static base::Result<std::unique_ptr<ServerApp>> start(const Config& config, const base::Clock& clock);
  /// stop(0)
  ~ServerApp();
  ServerApp(const ServerApp&) = delete;
  ServerApp& operator=(const ServerApp&) = delete;

  /// http://host:port, with the port that was bound.
  std::string url() const;
  /// The name of the first local model; "" without one.
  const std::string& model_name() const;
  /// Takes over the keys, the prices and the TLS certificate (if there is one before and after); nothing else
  /// of `config`. What runs goes on.
  void reload(const Config& config);
  /// Takes no more requests, lets running answers finish for at most `grace_ms`, ends the rest. Idempotent.
  void stop(int grace_ms);

 private:
  struct Impl;
  explicit ServerApp(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace pmt::app
