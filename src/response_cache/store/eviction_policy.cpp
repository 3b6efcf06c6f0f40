#include "response_cache/store/eviction_policy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <deque>
#include <unordered_map>

namespace pmt::response_cache {
namespace {

struct Queue {
  Evictable* newest = nullptr;
  Evictable* oldest = nullptr;

  void push(Evictable& entry) {
    entry.newer = nullptr;
    entry.older = newest;
    (newest != nullptr ? newest->newer : oldest) = &entry;
    newest = &entry;
  }
  void unlink(Evictable& entry) {
    (entry.newer != nullptr ? entry.newer->older : newest) = entry.older;
    (entry.older != nullptr ? entry.older->newer : oldest) = entry.newer;
  }
  Evictable* oldest_but(const Evictable* spared) const {
    return oldest != nullptr && oldest == spared ? oldest->newer : oldest;
  }
};

class Lru final : public EvictionPolicy {
 public:
  void add(Evictable& entry) override { queue_.push(entry); }
  void touch(Evictable& entry) override {
    if (queue_.newest == &entry) return;
    queue_.unlink(entry);
    queue_.push(entry);
  }
  void remove(Evictable& entry) override { queue_.unlink(entry); }
  Evictable* pick(const Evictable* spared) override { return queue_.oldest_but(spared); }

 private:
  Queue queue_;
};

class Gdsf final : public EvictionPolicy {
 public:
  void add(Evictable& entry) override {
    if (entry.uses == 0) entry.uses = 1;
    enter(entry);
  }
  void touch(Evictable& entry) override {
    count_use(entry);
    if (entry.touched == 0) entry.touched = 1;
  }
  void remove(Evictable& entry) override {
    Queue& queue = queues_[entry.queue];
    queue.unlink(entry);
    if (queue.newest == nullptr) held_[entry.queue / 64] &= ~(1ULL << (entry.queue % 64));
  }
  Evictable* pick(const Evictable* spared) override {
    for (int again = 0;; ++again) {
      Evictable* const least = least_but(spared);
      if (least == nullptr) return nullptr;
      floor_ = std::max(floor_, least->priority);
      if (least->touched == 0 || again == kAgainMax) return least;
      remove(*least);
      enter(*least);
    }
  }

 private:
  static constexpr int kAgainMax = 64;
  Evictable* least_but(const Evictable* spared) const {
    Evictable* least = nullptr;
    for (unsigned word = 0; word < held_.size(); ++word) {
      for (std::uint64_t bits = held_[word]; bits != 0; bits &= bits - 1) {
        Evictable* const end =
            queues_[word * 64 + static_cast<unsigned>(std::countr_zero(bits))].oldest_but(spared);
        if (end != nullptr && (least == nullptr || end->priority < least->priority)) least = end;
      }
    }
    return least;
  }

  static constexpr unsigned kClasses = 256;
  static constexpr std::uint32_t kUsesMax = (1U << 21) - 1;
  static constexpr std::uint32_t kUsesExact = 256, kUsesStep = 16;
  static constexpr int kExponentMin = -48;  // of uses x worth / bytes in powers of two; 64 octaves from there

  /// A float's exponent and its first two bits after the point: a quarter of an octave, without a logarithm.
  static unsigned class_of(const Evictable& entry) {
    const float value = static_cast<float>(entry.uses) * entry.worth / static_cast<float>(entry.bytes);
    const int steps = static_cast<int>(std::bit_cast<std::uint32_t>(value) >> 21) - (127 + kExponentMin) * 4;
    return static_cast<unsigned>(std::clamp(steps, 0, static_cast<int>(kClasses) - 1));
  }
  static double value_of(unsigned queue) {
    static const auto kValues = [] {
      std::array<double, kClasses> values;
      for (unsigned i = 0; i < kClasses; ++i)
        values[i] = std::ldexp(1 + (i % 4) / 4.0, static_cast<int>(i / 4) + kExponentMin);
      return values;
    }();
    return kValues[queue];
  }
  /// Above kUsesExact one in kUsesStep counts for as many: a class is a fifth wide there, and an entry that
  /// is not written is one that two cores can read at once. Which, a generator of the thread's own says: the
  /// uses themselves may come in any rhythm.
  static void count_use(Evictable& entry) {
    if (entry.uses < kUsesExact) {
      ++entry.uses;
      return;
    }
    thread_local std::uint64_t generator = 1;
    generator = generator * 6364136223846793005ULL + 1442695040888963407ULL;
    if (generator >> 32U >= (1ULL << 32U) / kUsesStep) return;
    entry.uses = std::min<std::uint32_t>(entry.uses + kUsesStep, kUsesMax);
  }
  void enter(Evictable& entry) {
    entry.touched = 0;
    entry.queue = class_of(entry);
    entry.priority = floor_ + value_of(entry.queue);
    queues_[entry.queue].push(entry);
    held_[entry.queue / 64] |= 1ULL << (entry.queue % 64);
  }

  std::array<Queue, kClasses> queues_;
  std::array<std::uint64_t, kClasses / 64> held_{};
  double floor_ = 0;
};

class S3Fifo final : public EvictionPolicy {
 public:
  void add(Evictable& entry) override {
    const bool again = entry.queue == kMain || left_.contains(entry.id());
    enter(entry, again ? kMain : kSmall);
  }
  void touch(Evictable& entry) override { entry.uses = std::min<std::uint32_t>(entry.uses + 1, kUsesMax); }
  void remove(Evictable& entry) override {
    queues_[entry.queue].unlink(entry);
    bytes_[entry.queue] -= entry.bytes;
    --entries_[entry.queue];
  }
  Evictable* pick(const Evictable* spared) override {
    while (true) {
      const bool small = bytes_[kSmall] * 10 >= bytes_[kSmall] + bytes_[kMain];
      Evictable* entry = queues_[small ? kSmall : kMain].oldest_but(spared);
      if (entry == nullptr) entry = queues_[small ? kMain : kSmall].oldest_but(spared);
      if (entry == nullptr) return nullptr;
      if (entry->uses == 0) {
        if (entry->queue == kSmall) remember(entry->id());
        return entry;
      }
      // Used in the small queue: promoted with a clean record. Used in the main one: another round.
      const bool was_small = entry->queue == kSmall;
      remove(*entry);
      entry->uses = was_small ? 0 : entry->uses - 1;
      enter(*entry, kMain);
    }
  }

 private:
  static constexpr unsigned kSmall = 0, kMain = 1;
  static constexpr std::uint32_t kUsesMax = 3;

  void enter(Evictable& entry, unsigned queue) {
    entry.queue = queue;
    queues_[queue].push(entry);
    bytes_[queue] += entry.bytes;
    ++entries_[queue];
  }
  /// As many ids as the main queue has entries.
  void remember(std::uint64_t id) {
    ghosts_.push_back(id);
    ++left_[id];
    while (ghosts_.size() > std::max<std::size_t>(entries_[kMain], 16)) {
      const auto found = left_.find(ghosts_.front());
      if (--found->second == 0) left_.erase(found);
      ghosts_.pop_front();
    }
  }

  Queue queues_[2];
  std::size_t bytes_[2] = {0, 0};
  std::size_t entries_[2] = {0, 0};
  std::deque<std::uint64_t> ghosts_;
  std::unordered_map<std::uint64_t, std::uint32_t> left_;
};

}  // namespace

std::span<const Eviction> eviction_policies() {
  static constexpr Eviction kAll[] = {Eviction::kGdsf, Eviction::kLru, Eviction::kS3Fifo};
  return kAll;
}

const char* to_string(Eviction policy) {
  switch (policy) {
    case Eviction::kGdsf:
      return "gdsf";
    case Eviction::kLru:
      return "lru";
    case Eviction::kS3Fifo:
      return "s3-fifo";
  }
  return "";
}

std::unique_ptr<EvictionPolicy> make_policy(Eviction policy) {
  switch (policy) {
    case Eviction::kLru:
      return std::make_unique<Lru>();
    case Eviction::kS3Fifo:
      return std::make_unique<S3Fifo>();
    case Eviction::kGdsf:
      break;
  }
  return std::make_unique<Gdsf>();
}

}  // namespace pmt::response_cache
