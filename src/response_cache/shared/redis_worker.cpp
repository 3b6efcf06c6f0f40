#include "response_cache/shared/redis_worker.h"

#include <csignal>
#include <utility>

#include "base/guard.h"

namespace pmt::response_cache {
namespace {

constexpr std::size_t kBatchMax = 64;

base::Error down() {
  return {base::Code::kUnavailable, "the shared tier is down"};
}

}  // namespace

void block_sigpipe() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void Breaker::set_down(const base::Error& why) {
  {
    const std::lock_guard lock(mutex_);
    last_error_ = why.message;
  }
  if (!up_.exchange(false)) return;
  ++failures_;
  on_down_(why);
}

std::string Breaker::last_error() const {
  const std::lock_guard lock(mutex_);
  return last_error_;
}

RedisWorker::RedisWorker(redis::LinkOptions options, std::chrono::milliseconds timeout, Breaker& breaker)
    : link_(std::move(options)), timeout_(timeout), breaker_(breaker), thread_([this] { run(); }) {}

RedisWorker::~RedisWorker() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void RedisWorker::ask(Job job) {
  if (!breaker_.is_up()) return job.done(down());
  {
    const std::lock_guard lock(mutex_);
    if (hurried_) job.due = {};
    bytes_ += job.bytes;
    jobs_.emplace(job.due, std::move(job));
  }
  wake_.notify_one();
}

void RedisWorker::hurry() {
  {
    const std::lock_guard lock(mutex_);
    hurried_ = true;
    std::multimap<SteadyTime, Job> now;
    for (auto& [due, job] : jobs_) now.emplace(SteadyTime(), std::move(job));
    jobs_ = std::move(now);
  }
  wake_.notify_all();
}

std::size_t RedisWorker::jobs_waiting() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

void RedisWorker::run() {
  block_sigpipe();
  std::unique_lock lock(mutex_);
  while (true) {
    const bool up = breaker_.is_up();
    const auto now = std::chrono::steady_clock::now();
    std::vector<Job> due;
    while (!jobs_.empty() && due.size() < kBatchMax && (!up || stop_ || jobs_.begin()->first <= now)) {
      due.push_back(std::move(jobs_.begin()->second));
      jobs_.erase(jobs_.begin());
      bytes_ -= due.back().bytes;
    }
    if (!due.empty()) {
      lock.unlock();
      work(std::move(due));
      lock.lock();
      continue;
    }
    if (stop_) return;
    if (jobs_.empty()) {
      wake_.wait(lock);
    } else {
      const SteadyTime next = jobs_.begin()->first;  // the wait reads it again, when the job may be gone
      wake_.wait_until(lock, next);
    }
  }
}

void RedisWorker::work(std::vector<Job> jobs) {
  if (!breaker_.is_up()) {
    link_.close();
    for (const Job& job : jobs) base::survives({base::Thread::kRedis}, [&] { job.done(down()); });
    return;
  }
  if (const std::uint64_t ups = breaker_.ups(); std::exchange(link_ups_, ups) != ups) link_.close();
  base::Result<std::vector<redis::Reply>> replies = down();
  const base::Status asked = base::guarded({base::Thread::kRedis}, [&] {
    std::vector<redis::Command> commands;
    commands.reserve(jobs.size());
    for (const Job& job : jobs) commands.push_back(job.make());
    replies = link_.call(commands, std::chrono::steady_clock::now() + timeout_);
  });
  if (!asked) {
    link_.close();
    replies = asked.error();
  } else if (!replies) {
    breaker_.set_down(replies.error());
  }
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    base::survives({base::Thread::kRedis},
                   [&] { replies ? jobs[i].done((*replies)[i]) : jobs[i].done(replies.error()); });
  }
}

}  // namespace pmt::response_cache
