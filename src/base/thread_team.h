// A team of threads that do one piece of work together and meet on the way (note 0035).
//
// Whoever comes first to a meeting keeps its core for a while, since the others are mostly microseconds behind.
// Then it sleeps in the kernel, which wakes it when the last one comes. Without the sleep, a member whose core another
// process has taken would make its fellows burn their own shares of the cores, waiting for it.
//
//   team.run(team.members(), [&](int member) { first_half(member); team.meet(); second_half(member); });
//
// Thread-safety: run, set_patience and the destructor belong to one thread at a time; meet to the members of a run.
// Errors: none; a member that throws ends the process, since its fellows would wait for it for ever.
// Cost: a meeting takes some 100 ns where nobody waits, and 5 to 50 us where somebody has to be woken. Members that a
// run leaves out sleep, and a run of one member wakes nobody.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace pmt::base {

/// How long a member that waits keeps its core before it sleeps.
struct Patience {
  Nanos at_meetings;   // for members on their way
  Nanos between_runs;  // for the next piece of work
};

class ThreadTeam {
 public:
  /// Starts `members` - 1 threads: the member 0 is whoever calls run. Requires members >= 1.
  explicit ThreadTeam(int members, Patience patience = {std::chrono::microseconds(50), Nanos(0)});
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int members() const { return members_; }
  void set_patience(Patience patience);
  /// The kernel's ids of the threads that it started, for those who ask the kernel about them.
  const std::vector<int>& thread_ids() const { return thread_ids_; }

  /// work(member) on the first `members` at once. Returns when the last one has. Requires 1 to members().
  void run(int members, const std::function<void(int member)>& work) noexcept;

  /// Waits until all members of the run are here.
  void meet() noexcept {
    meet([] {});
  }
  /// The last one to come runs `then`, alone, before anybody goes on.
  template <class Then>
  void meet(Then&& then) noexcept {
    // Both are read before the others can go on, and with them the next run begin.
    const std::uint32_t meeting = meeting_.number.load(std::memory_order_relaxed);
    const int members = running_;
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 < members) {
      await(meeting_, meeting, at_meetings_ns_.load(std::memory_order_relaxed));
      return;
    }
    std::forward<Then>(then)();
    arrived_.store(0, std::memory_order_relaxed);
    advance(meeting_, meeting + 1);
  }

 private:
  /// A number that changes when the gate opens, and how many sleep until it does.
  struct alignas(64) Gate {
    std::atomic<std::uint32_t> number{0};
    std::atomic<std::uint32_t> sleepers{0};
  };

  static void await(Gate& gate, std::uint32_t seen, std::int64_t patience_ns) noexcept;
  static void advance(Gate& gate, std::uint32_t number) noexcept;
  void begin(int members) noexcept;
  void serve(int member) noexcept;

  const int members_;
  std::atomic<std::int64_t> at_meetings_ns_, between_runs_ns_;
  alignas(64) std::atomic<int> arrived_{0};
  Gate meeting_;
  Gate run_;  // how many members it has, below a count of the runs: who is left out must read nothing else
  // Written before run_ advances, read by the run's members after.
  int running_ = 1;
  const std::function<void(int)>* work_ = nullptr;  // null: the end
  std::vector<int> thread_ids_;
  std::vector<std::thread> threads_;
};

}  // namespace pmt::base
