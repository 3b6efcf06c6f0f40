#include "net/async_client.h"

#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/file.h"
#include "base/guard.h"
#include "net/exchange.h"
#include "net/io_loop.h"

namespace pmt::net {
namespace asio = boost::asio;
namespace {

/// A delayed call.
struct Delay : std::enable_shared_from_this<Delay> {
  Delay(asio::io_context& context, std::function<void()> given) : timer(context), fn(std::move(given)) {}
  void fire() {
    if (fired) return;
    fired = true;
    timer.cancel();
    callback.reset();
    std::exchange(fn, nullptr)();
  }
  asio::steady_timer timer;
  std::function<void()> fn;
  bool fired = false;
  std::unique_ptr<base::CancelCallback> callback;
};

/// The lanes on loops of others. Held by them too: a loop may end after the client.
struct Guests {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<IoLoop*, std::shared_ptr<Lane>> open;     // guarded by mutex, like
  std::map<IoLoop*, std::shared_ptr<Lane>> closing;  // those that take no exchange any more
};

class Client final : public AsyncClient {
 public:
  explicit Client(AsyncClientOptions options) : shared_(std::make_shared<ClientShared>(std::move(options))) {}
  ~Client() override { stop(); }

  base::Status open();
  void start(AsyncCall call, std::shared_ptr<ExchangeListener> listener,
             const base::CancelToken& cancel) override;
  void after(double seconds, std::function<void()> fn, const base::CancelToken& cancel) override;
  void stop() override;
  AsyncClientStats stats() const override {
    return {.opened = shared_->opened, .reused = shared_->reused, .running = shared_->running};
  }

 private:
  void run();
  Lane& lane_here();
  void stop_guests();
  void end_if_idle() {
    if (lane_ended_ && delays_.empty()) work_.reset();
  }

  const std::shared_ptr<ClientShared> shared_;
  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  const std::shared_ptr<Lane> lane_ = std::make_shared<Lane>(context_, shared_, [this] {
    lane_ended_ = true;
    end_if_idle();
  });
  const std::shared_ptr<Guests> guests_ = std::make_shared<Guests>();
  std::list<std::shared_ptr<Delay>> delays_;  // these on the client's own thread
  bool stopping_ = false;
  bool lane_ended_ = false;
  std::mutex mutex_;
  bool stopped_ = false;  // guarded by mutex_: nothing is posted any more
  std::thread thread_;
};

base::Status Client::open() {
  boost::system::error_code ec;
  const std::string& ca_file = shared_->options.ca_file;
  if (ca_file.empty()) {
    shared_->tls.set_default_verify_paths(ec);
  } else {
    TRY(base::check_file(ca_file, "ca_file"));
    shared_->tls.load_verify_file(ca_file, ec);
  }
  if (ec) {
    return base::invalid(fmt::format("can't read certificates from {}: {}",
                                     ca_file.empty() ? "the system" : ca_file, ec.message()),
                         "ca_file");
  }
  thread_ = std::thread([this] { run(); });
  return {};
}

void Client::run() {
  while (!base::survives({base::Thread::kClient}, [this] { context_.run(); })) {
  }
}

/// Requires: guests_->mutex.
Lane& Client::lane_here() {
  IoLoop* const loop = IoLoop::current();
  if (loop == nullptr || guests_->closing.contains(loop)) return *lane_;
  std::shared_ptr<Lane>& lane = guests_->open[loop];
  if (lane != nullptr) return *lane;
  lane = std::make_shared<Lane>(loop->context(), shared_, [guests = guests_, loop] {
    const std::lock_guard lock(guests->mutex);
    guests->closing.erase(loop);
    guests->changed.notify_all();
  });
  loop->at_end([guests = guests_, loop] {
    std::shared_ptr<Lane> mine;
    {
      const std::lock_guard lock(guests->mutex);
      const auto found = guests->open.find(loop);
      if (found == guests->open.end()) return;  // the client's stop() came first
      mine = found->second;
      guests->closing.insert(guests->open.extract(found));
    }
    mine->end();
  });
  return *lane;
}

void Client::start(AsyncCall call, std::shared_ptr<ExchangeListener> listener,
                   const base::CancelToken& cancel) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      const std::lock_guard guests_lock(guests_->mutex);
      lane_here().start(std::move(call), std::move(listener), cancel);
      return;
    }
  }
  listener->on_end(base::Error{base::Code::kUnavailable, "shutting down"});
}

void Client::after(double delay_s, std::function<void()> fn, const base::CancelToken& cancel) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      const auto delay = std::make_shared<Delay>(context_, std::move(fn));
      delay->callback = cancel.on_cancel([weak = std::weak_ptr(delay), &context = context_] {
        asio::post(context, [weak] {
          if (const auto self = weak.lock()) self->timer.cancel();
        });
      });
      asio::post(context_, [this, delay, delay_s, cancel] {
        const auto entry = delays_.insert(delays_.end(), delay);
        const bool now_already = stopping_ || cancel.cancelled();
        delay->timer.expires_after(seconds(now_already ? 0 : delay_s));
        delay->timer.async_wait([this, entry, delay](const boost::system::error_code&) {
          base::survives({base::Thread::kClient}, [&delay] { delay->fire(); });
          delays_.erase(entry);
          end_if_idle();
        });
      });
      return;
    }
  }
  fn();
}

/// A lane that is open has its loop running, which so will hear of it.
void Client::stop_guests() {
  std::unique_lock lock(guests_->mutex);
  for (const auto& [loop, lane] : guests_->open) asio::post(lane->context(), [lane = lane] { lane->end(); });
  guests_->closing.merge(guests_->open);
  guests_->changed.wait(lock, [&] { return guests_->closing.empty(); });
}

void Client::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    if (!thread_.joinable()) return;
    asio::post(context_, [this] {
      stopping_ = true;
      for (const auto& delay : delays_) delay->timer.cancel();
      lane_->end();
    });
  }
  stop_guests();
  thread_.join();
}

}  // namespace

base::Result<std::unique_ptr<AsyncClient>> AsyncClient::create(AsyncClientOptions options) {
  auto client = std::make_unique<Client>(std::move(options));
  TRY(client->open());
  return std::unique_ptr<AsyncClient>(std::move(client));
}

}  // namespace pmt::net
