// What is behind a permutation_engine: the wiring of the server without its network (app/wiring/service.h), and the
// requests that run.
// Thread-safety: any thread may call anything; stop() once.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "app/wiring/service.h"
#include "base/clock.h"
#include "base/result.h"
#include "embed/call.h"

namespace pmt::embed {

/// A configuration for a program's own use: quiet but for warnings. `file` is for messages. Errors: as parse_config.
base::Result<app::Config> library_config(std::string_view toml, const std::string& file);
/// Where log lines go: by the first configuration of the process.
void open_log(const app::Config& config);

struct Request {
  std::string method, target, body;
  net::Headers headers = {};
};

class Engine {
 public:
  static base::Result<std::unique_ptr<Engine>> open(const app::Config& config);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Begins it. Failures come from the call.
  std::shared_ptr<Call> begin(Request request);
  /// Waits for the whole answer.
  Failure answer(Request request, std::string* body);
  /// Waits for the last of the answer's events.
  Failure last_event(Request request, std::string* event);

  /// Calls that are fetched by number.
  std::uint64_t keep(std::shared_ptr<Call> call);
  /// Null: there is none.
  std::shared_ptr<Call> find(std::uint64_t number);
  std::shared_ptr<Call> forget(std::uint64_t number);

  /// Lives as long as somebody holds it, the engine or not.
  std::shared_ptr<response_cache::ResponseCache> cache() const;

  /// Cancels what runs, waits for its end and frees the models.
  void stop();

 private:
  struct Opened;
  struct Running;
  explicit Engine(std::shared_ptr<Opened> opened);

  const std::shared_ptr<Opened> opened_;
  const net::Handler handler_;
  const std::shared_ptr<Running> running_;
  std::mutex mutex_;
  std::uint64_t last_number_ = 0;
  std::map<std::uint64_t, std::shared_ptr<Call>> numbered_;
};

}  // namespace pmt::embed
