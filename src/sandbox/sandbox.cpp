#include "sandbox/sandbox.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "sandbox/launch.h"
#include "sandbox/session.h"

namespace pmt::sandbox {

const char* to_string(Kind kind) {
  switch (kind) {
    case Kind::kAuto:
      return "auto";
    case Kind::kBubblewrap:
      return "bubblewrap";
    case Kind::kMonty:
      return "monty";
  }
  return "auto";
}

namespace {

using base::Code;
using base::Error;

constexpr auto kWaitMax = std::chrono::seconds(30);

/// Interpreters are started by one thread that lives as long as they may (see Child::start), ahead of need: a
/// session begins with one that waits.
class Pool final : public Sandbox {
 public:
  Pool(Launcher launcher, const SandboxOptions& options) : launcher_(std::move(launcher)), options_(options) {
    starter_ = std::thread([this] { keep_warm(); });
  }

  ~Pool() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    starter_.join();
  }

  /// Waits for the first interpreter: whether this kind works here.
  base::Status probe() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !warm_.empty() || failure_; });
    if (failure_) return *failure_;
    return {};
  }

  Kind kind() const override { return launcher_.kind(); }

  base::Result<std::unique_ptr<Session>> session(SessionSetup setup) override {
    TRY_ASSIGN(Interpreter interpreter, take());
    auto session =
        std::make_unique<ProcessSession>(std::move(interpreter), options_.limits, [this] { released(); });
    TRY(session->open(setup));
    return std::unique_ptr<Session>(std::move(session));
  }

 private:
  void keep_warm() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || (!failure_ && wanted()); });
      if (stopping_) break;
      lock.unlock();
      auto started = launcher_.start();
      lock.lock();
      if (started) {
        warm_.push_back(std::move(*started));
      } else {
        failure_ = started.error();
      }
      changed_.notify_all();
    }
    warm_.clear();
  }

  bool wanted() const { return static_cast<int>(warm_.size()) < std::max(options_.warm, waiting_); }

  base::Result<Interpreter> take() {
    std::unique_lock lock(mutex_);
    if (running_ == options_.running_max) {
      return Error{Code::kExhausted, fmt::format("{} sandboxes run already: rlm.sandboxes_max", running_)};
    }
    ++running_;
    ++waiting_;
    failure_.reset();  // what failed once may be tried again by whoever needs it
    changed_.notify_all();
    changed_.wait_for(lock, kWaitMax, [this] { return !warm_.empty() || failure_; });
    --waiting_;
    if (warm_.empty()) {
      --running_;
      return failure_.value_or(Error{Code::kUnavailable, "no sandbox started in time"});
    }
    Interpreter interpreter = std::move(warm_.front());
    warm_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return interpreter;
  }

  void released() {
    const std::lock_guard lock(mutex_);
    --running_;
  }

  const Launcher launcher_;
  const SandboxOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Interpreter> warm_;
  std::optional<Error> failure_;
  int running_ = 0, waiting_ = 0;
  bool stopping_ = false;
  std::thread starter_;
};

base::Result<std::unique_ptr<Sandbox>> open_kind(base::Result<Launcher> launcher,
                                                 const SandboxOptions& options) {
  if (!launcher) return launcher.error();
  auto pool = std::make_unique<Pool>(std::move(*launcher), options);
  TRY(pool->probe());
  return std::unique_ptr<Sandbox>(std::move(pool));
}

}  // namespace

base::Result<std::unique_ptr<Sandbox>> Sandbox::open(SandboxOptions options) {
  std::string lacking;
  if (options.kind != Kind::kMonty) {
    auto sandbox = open_kind(Launcher::bubblewrap(options), options);
    if (sandbox) return sandbox;
    lacking = sandbox.error().message;
  }
  if (options.kind != Kind::kBubblewrap) {
    auto sandbox = open_kind(Launcher::monty(options), options);
    if (sandbox) return sandbox;
    lacking += (lacking.empty() ? "" : "; ") + sandbox.error().message;
  }
  return Error{Code::kUnavailable, fmt::format("no sandbox for programs that a model writes: {}", lacking)};
}

}  // namespace pmt::sandbox
