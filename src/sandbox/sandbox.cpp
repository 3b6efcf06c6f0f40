#include "sandbox/sandbox.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "base/fair_share.h"
#include "base/guard.h"
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
constexpr auto kCancelPoll = std::chrono::milliseconds(20);

/// Interpreters are started by one thread that lives as long as they may (see Child::start), ahead of need: a
/// session begins with one that waits.
class Pool final : public Sandbox {
 public:
  Pool(Launcher launcher, const SandboxOptions& options)
      : launcher_(std::move(launcher)),
        options_(options),
        places_(
            {.places = options.running_max, .tenant_max = options.tenant_max, .shared = options.tenants}) {
    starter_ = std::thread([this] { base::keep_running({base::Thread::kSandbox}, [this] { keep_warm(); }); });
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

  base::Result<std::unique_ptr<Session>> session(const SessionSetup& setup) override {
    TRY(take_place(setup.tenant));
    auto interpreter = take(setup.cancel);
    if (!interpreter) {
      places_.give_back(setup.tenant);
      return interpreter.error();
    }
    auto session =
        std::make_unique<ProcessSession>(std::move(*interpreter), options_.limits,
                                         [this, tenant = setup.tenant] { places_.give_back(tenant); });
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
      base::Result<Interpreter> started = Error{};
      const base::Status ran = base::guarded({base::Thread::kSandbox}, [&] { started = launcher_.start(); });
      if (!ran) started = ran.error();
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

  base::Status take_place(const std::string& tenant) {
    switch (places_.take(tenant)) {
      case base::FairShare::Taken::kYes:
        return {};
      case base::FairShare::Taken::kFull:
        return Error{Code::kExhausted,
                     fmt::format("{} sandboxes run already: try again later, or raise rlm.sandboxes_max",
                                 options_.running_max)};
      case base::FairShare::Taken::kTenantFull:
        break;
    }
    return Error{
        Code::kExhausted,
        fmt::format("this tenant holds {} of {} sandboxes, and the others are kept for other tenants: "
                    "try again when one has ended",
                    places_.held(tenant), options_.running_max)};
  }

  base::Result<Interpreter> take(const base::CancelToken& cancel) {
    std::unique_lock lock(mutex_);
    ++waiting_;
    failure_.reset();  // what failed once may be tried again by whoever needs it
    changed_.notify_all();
    const auto until = std::chrono::steady_clock::now() + kWaitMax;
    while (warm_.empty() && !failure_ && !cancel.cancelled() && std::chrono::steady_clock::now() < until) {
      changed_.wait_for(lock, kCancelPoll);
    }
    --waiting_;
    if (cancel.cancelled()) return Error{Code::kCancelled, "cancelled"};
    if (warm_.empty()) return failure_.value_or(Error{Code::kUnavailable, "no sandbox started in time"});
    Interpreter interpreter = std::move(warm_.front());
    warm_.pop_front();
    lock.unlock();
    changed_.notify_all();
    return interpreter;
  }

  const Launcher launcher_;
  const SandboxOptions options_;
  base::FairShare places_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Interpreter> warm_;
  std::optional<Error> failure_;
  int waiting_ = 0;
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
