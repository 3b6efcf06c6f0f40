#include "embed/engine.h"

#include <condition_variable>
#include <csignal>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "api/json/json_writer.h"
#include "embed/quiet_threads.h"
#include "net/target.h"
#include "telemetry/json_log.h"

namespace pmt::embed {

/// The models, and the cache that may outlive them.
struct Engine::Opened {
  base::SystemClock clock;
  std::unique_ptr<app::Service> service = nullptr;
};

/// The requests that the API has not ended.
struct Engine::Running {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<Call*, std::shared_ptr<Call>> calls;
  bool stopping = false;

  /// False: no more are taken.
  bool add(const std::shared_ptr<Call>& call) {
    const std::lock_guard lock(mutex);
    if (stopping) return false;
    calls.emplace(call.get(), call);
    return true;
  }
  void remove(Call* call) {
    std::shared_ptr<Call> last;  // freed after the lock
    const std::lock_guard lock(mutex);
    const auto found = calls.find(call);
    if (found == calls.end()) return;
    last = std::move(found->second);
    calls.erase(found);
    if (calls.empty()) changed.notify_all();
  }
};

base::Result<app::Config> library_config(std::string_view toml, const std::string& file) {
  app::Config defaults;
  defaults.service.log.level = "warn";
  TRY_ASSIGN(app::Config config, app::parse_config(toml, file, std::move(defaults)));
  config.server.host = "127.0.0.1";
  config.service.keys.clear();
  config.service.dashboard = false;
  return config;
}

void open_log(const app::Config& config) {
  static std::once_flag opened;
  std::call_once(opened, [&config] {
    const auto logger = spdlog::default_logger();
    if (logger != nullptr && !logger->name().empty()) return;  // the program's own
    if (!telemetry::configure_logging(config.service.log))
      static_cast<void>(telemetry::configure_logging({.level = "warn"}));
  });
}

Engine::Engine(std::shared_ptr<Opened> opened)
    : opened_(std::move(opened)),
      handler_(opened_->service->handler()),
      running_(std::make_shared<Running>()) {}

base::Result<std::unique_ptr<Engine>> Engine::open(const app::Config& config) {
  const QuietThreads quiet;
  open_log(config);
  auto opened = std::make_shared<Opened>();
  TRY_ASSIGN(opened->service, app::Service::open(config, {}, opened->clock));
  return std::unique_ptr<Engine>(new Engine(std::move(opened)));
}

std::shared_ptr<Call> Engine::begin(Request request) {
  auto call = std::make_shared<Call>([running = running_](Call* ended) { running->remove(ended); });
  const std::shared_ptr<net::Responder> responder = Call::responder(call);
  net::HttpRequest http;
  http.method = std::move(request.method);
  http.headers = std::move(request.headers);
  http.headers.emplace_back("host", "localhost");
  http.body = std::move(request.body);
  http.peer = "in this process";
  if (!running_->add(call)) {
    call->cancel();
  } else if (!api::is_utf8(request.target) || !net::decode_target(request.target, &http)) {
    responder->send(
        {400,
         {},
         R"({"error":{"message":"The path must be UTF-8 and look like /v1/models.","param":"path"}})"});
  } else {
    handler_(std::move(http), responder);
  }
  return call;
}

Failure Engine::answer(Request request, std::string* body) {
  return begin(std::move(request))->next(-1, body);
}

Failure Engine::last_event(Request request, std::string* event) {
  const std::shared_ptr<Call> call = begin(std::move(request));
  Failure ended;
  while ((ended = call->next(-1, event)).code == PERMUTATION_OK) {
  }
  return ended.code == PERMUTATION_END ? Failure{} : ended;
}

std::uint64_t Engine::keep(std::shared_ptr<Call> call) {
  const std::lock_guard lock(mutex_);
  numbered_.emplace(++last_number_, std::move(call));
  return last_number_;
}

std::shared_ptr<Call> Engine::find(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto found = numbered_.find(number);
  return found == numbered_.end() ? nullptr : found->second;
}

std::shared_ptr<Call> Engine::forget(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  auto found = numbered_.extract(number);
  return found.empty() ? nullptr : std::move(found.mapped());
}

std::shared_ptr<response_cache::ResponseCache> Engine::cache() const {
  return {opened_, &opened_->service->cache()};
}

void Engine::stop() {
  std::vector<std::shared_ptr<Call>> calls;
  {
    const std::lock_guard lock(running_->mutex);
    running_->stopping = true;
    for (const auto& [key, call] : running_->calls) calls.push_back(call);
  }
  opened_->service->close_streams();
  for (const auto& call : calls) call->cancel();
  {
    std::unique_lock lock(running_->mutex);
    running_->changed.wait(lock, [this] { return running_->calls.empty(); });
  }
  opened_->service->stop();
}

}  // namespace pmt::embed
