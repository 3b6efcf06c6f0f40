// What happened when: two rings of slots of time, 24 hours in slots of 10 s and 30 days in slots of 10 minutes.
// What a slot holds are differences of counters that exist (history_sampler.h); nothing is counted here.
//
// A slot that nobody added to is a gap: the server didn't run, or the clock jumped over it. Where the clock goes back,
// the slots that it meets again are added to, and those after now are not shown until it reaches them: no sum gets
// lost or is counted twice.
// Bounds: 8,640 + 4,320 slots of 320 bytes, 4.1 MB, taken once. Its state on disk is at most as large.
// Thread-safety: any thread may call anything. Cost: add is a lock and a few additions; span reads at most 24 hours'
// slots of the finer ring under the lock, under a millisecond.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/observe/first_token_times.h"
#include "base/clock.h"
#include "base/result.h"

namespace pmt::api {

/// By what answered a client's completion: one of these for each that ended.
enum class AnsweredBy { kExact, kSemantic, kShared, kComputed, kUpstream, kFailed };
inline constexpr std::size_t kAnsweredBys = 6;
/// "exact" (stale ones too), "semantic", "shared", "computed", "upstream", "failed".
const char* to_string(AnsweredBy by);

/// What is told of a piece of time. All members have 8 bytes or none between: it is written to disk as it is.
struct HistorySlot {
  std::int64_t number = 0;  // of its width since 1970; 0: nothing was added
  std::array<std::uint64_t, kAnsweredBys> requests{};
  FirstTokenTimes first_token;
  std::int64_t tokens_written = 0, tokens_saved = 0;
  double usd_spent = 0, usd_saved = 0, seconds_saved = 0;
  std::int64_t kv_bytes = 0, kv_bytes_max = 0, running = 0, waiting = 0;  // the most at once

  /// Counts add up, the last four are the larger one's. The number stays.
  HistorySlot& operator+=(const HistorySlot& other);
};

/// What can be asked for.
struct HistoryRange {
  const char* name;
  std::int64_t span_s, step_s;
};
inline constexpr std::array<HistoryRange, 4> kHistoryRanges = {
    {{"1h", 3600, 30}, {"24h", 86'400, 600}, {"7d", 604'800, 3600}, {"30d", 2'592'000, 21'600}}};

struct HistorySpan {
  std::int64_t begin_unix_s = 0;                  // of the first step, a multiple of the range's step
  std::vector<std::optional<HistorySlot>> steps;  // the last one holds now; null: a gap
  HistorySlot total;
  std::optional<HistorySlot> before;  // of as long a time before; null where nothing is known of it
};

class History {
 public:
  explicit History(const base::Clock& clock);

  /// What happened since the last time, to the slots of now.
  void add(const HistorySlot& more);
  HistorySpan span(const HistoryRange& range) const;

  /// All slots with a checksum, for restore().
  std::string state() const;
  /// Goes up with each change of what state() says.
  std::uint64_t version() const;
  /// Adds what `state` holds to the slots, but for what lies after now. Errors: kCorrupt, it is damaged or of another
  /// version; nothing is added.
  base::Status restore(std::string_view state);

 private:
  struct Ring {
    Ring(std::int64_t width, std::size_t count) : width_s(width), slots(count) {}
    void add(std::int64_t number, const HistorySlot& more);
    const HistorySlot* find(std::int64_t number) const;
    /// Where this number's slot is, whichever number is there.
    HistorySlot& at(std::int64_t number) { return slots[static_cast<std::size_t>(number) % slots.size()]; }
    std::int64_t width_s;
    std::vector<HistorySlot> slots;
  };
  /// What is known from `begin_s` to before `end_s`. Null: a gap.
  std::optional<HistorySlot> sum(const Ring& ring, std::int64_t begin_s, std::int64_t end_s) const;

  const base::Clock& clock_;
  mutable std::mutex mutex_;
  Ring fine_, coarse_;  // under mutex_, like
  std::uint64_t version_ = 0;
};

}  // namespace pmt::api
