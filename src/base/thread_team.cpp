#include "base/thread_team.h"

#include <climits>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

namespace pmt::base {
namespace {

/// The kernel compares 32 bits in memory: an atomic must be nothing else.
static_assert(sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t) &&
              std::atomic<std::uint32_t>::is_always_lock_free);

/// Sleeps unless `word` is no longer `seen`. May wake for no reason.
void sleep_on(std::atomic<std::uint32_t>& word, std::uint32_t seen) {
  ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
}

void wake_all(std::atomic<std::uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

/// Tells the core that this is a loop that waits.
void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield" ::: "memory");
#endif
}

/// Of the gate of runs.
constexpr std::uint32_t kMembersBits = 12, kMembersMask = (1U << kMembersBits) - 1;

std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / Nanos(1);
}

}  // namespace

ThreadTeam::ThreadTeam(int members, Patience patience)
    : members_(members),
      at_meetings_ns_(patience.at_meetings.count()),
      between_runs_ns_(patience.between_runs.count()) {
  CHECK(members >= 1 && static_cast<std::uint32_t>(members) <= kMembersMask);
  thread_ids_.resize(static_cast<std::size_t>(members) - 1);
  for (int member = 1; member < members; ++member) threads_.emplace_back([this, member] { serve(member); });
  // The first run is for the ids: all of them are there when the constructor returns.
  run(members, [this](int member) {
    if (member > 0) thread_ids_[static_cast<std::size_t>(member) - 1] = static_cast<int>(::gettid());
  });
}

ThreadTeam::~ThreadTeam() {
  work_ = nullptr;
  begin(members_);
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::set_patience(Patience patience) {
  at_meetings_ns_.store(patience.at_meetings.count(), std::memory_order_relaxed);
  between_runs_ns_.store(patience.between_runs.count(), std::memory_order_relaxed);
}

void ThreadTeam::run(int members, const std::function<void(int)>& work) noexcept {
  CHECK(members >= 1 && members <= members_);
  work_ = &work;
  running_ = members;
  if (members > 1) begin(members);
  work(0);
  meet();
}

void ThreadTeam::begin(int members) noexcept {
  const std::uint32_t runs = run_.number.load(std::memory_order_relaxed) >> kMembersBits;
  advance(run_, (runs + 1) << kMembersBits | static_cast<std::uint32_t>(members));
}

void ThreadTeam::serve(int member) noexcept {
  for (std::uint32_t seen = 0;;) {
    await(run_, seen, between_runs_ns_.load(std::memory_order_relaxed));
    // Whose run it is can't miss it: the run waits for all its members. Who is left out may sleep through several.
    seen = run_.number.load(std::memory_order_acquire);
    if (static_cast<std::uint32_t>(member) >= (seen & kMembersMask)) continue;
    if (work_ == nullptr) return;
    (*work_)(member);
    meet();
  }
}

void ThreadTeam::await(Gate& gate, std::uint32_t seen, std::int64_t patience_ns) noexcept {
  // The clock costs as much as a pause or two: it is asked once in a while.
  constexpr int kPausesUntimed = 64, kPausesBetween = 16;
  const auto passed = [&] { return gate.number.load(std::memory_order_acquire) != seen; };
  if (patience_ns > 0) {
    for (int i = 0; i < kPausesUntimed; ++i) {
      if (passed()) return;
      relax();
    }
    const std::int64_t end = now_ns() + patience_ns;
    do {
      for (int i = 0; i < kPausesBetween; ++i) {
        if (passed()) return;
        relax();
      }
    } while (now_ns() < end);
  }
  // Either we see the new number here, or whoever advances the gate sees a sleeper: both are seq_cst.
  gate.sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (gate.number.load(std::memory_order_seq_cst) == seen) sleep_on(gate.number, seen);
  gate.sleepers.fetch_sub(1, std::memory_order_relaxed);
}

void ThreadTeam::advance(Gate& gate, std::uint32_t number) noexcept {
  gate.number.store(number, std::memory_order_seq_cst);
  if (gate.sleepers.load(std::memory_order_seq_cst) > 0) wake_all(gate.number);
}

}  // namespace pmt::base
