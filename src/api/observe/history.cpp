#include "api/observe/history.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "base/hash.h"

namespace pmt::api {
namespace {

constexpr std::int64_t kFineS = 10, kCoarseS = 600;
constexpr std::size_t kFineSlots = 8640, kCoarseSlots = 4320;
constexpr std::string_view kMagic = "permutation history 1\n";
constexpr std::size_t kDigestBytes = 32;

// Written as they lie in memory: no byte of a slot may be left to chance, and another layout needs another magic.
static_assert(std::is_trivially_copyable_v<HistorySlot> && sizeof(HistorySlot) == 320);

base::Error no_state(const char* why) {
  return {base::Code::kCorrupt, why};
}

/// The finest ring that reaches as far.
bool needs_coarse(const HistoryRange& range) {
  return range.span_s > kFineS * static_cast<std::int64_t>(kFineSlots);
}

void append(const std::vector<HistorySlot>& slots, std::string& out) {
  const auto used = [](const HistorySlot& slot) { return slot.number != 0; };
  const auto count = static_cast<std::uint64_t>(std::ranges::count_if(slots, used));
  out.append(reinterpret_cast<const char*>(&count), sizeof count);
  for (const HistorySlot& slot : slots) {
    if (used(slot)) out.append(reinterpret_cast<const char*>(&slot), sizeof slot);
  }
}

/// Takes as many slots as the text's next number says. False: it has fewer.
bool take(std::string_view& text, std::vector<HistorySlot>& out) {
  std::uint64_t count = 0;
  if (text.size() < sizeof count) return false;
  std::memcpy(&count, text.data(), sizeof count);
  text.remove_prefix(sizeof count);
  if (count > text.size() / sizeof(HistorySlot)) return false;
  out.resize(count);
  if (count > 0) std::memcpy(out.data(), text.data(), count * sizeof(HistorySlot));
  text.remove_prefix(count * sizeof(HistorySlot));
  return true;
}

}  // namespace

const char* to_string(AnsweredBy by) {
  static constexpr std::array<const char*, kAnsweredBys> kNames = {"exact",    "semantic", "shared",
                                                                   "computed", "upstream", "failed"};
  return kNames[static_cast<std::size_t>(by)];
}

HistorySlot& HistorySlot::operator+=(const HistorySlot& other) {
  for (std::size_t i = 0; i < kAnsweredBys; ++i) requests[i] += other.requests[i];
  first_token += other.first_token;
  tokens_written += other.tokens_written;
  tokens_saved += other.tokens_saved;
  usd_spent += other.usd_spent;
  usd_saved += other.usd_saved;
  seconds_saved += other.seconds_saved;
  kv_bytes = std::max(kv_bytes, other.kv_bytes);
  kv_bytes_max = std::max(kv_bytes_max, other.kv_bytes_max);
  running = std::max(running, other.running);
  waiting = std::max(waiting, other.waiting);
  return *this;
}

void History::Ring::add(std::int64_t number, const HistorySlot& more) {
  HistorySlot& slot = at(number);
  if (slot.number != number) slot = {};
  slot.number = number;
  slot += more;
}

const HistorySlot* History::Ring::find(std::int64_t number) const {
  const HistorySlot& slot = slots[static_cast<std::size_t>(number) % slots.size()];
  return slot.number == number ? &slot : nullptr;
}

History::History(const base::Clock& clock)
    : clock_(clock), fine_(kFineS, kFineSlots), coarse_(kCoarseS, kCoarseSlots) {}

void History::add(const HistorySlot& more) {
  const std::int64_t now = std::max<std::int64_t>(clock_.unix_seconds(), kCoarseS);
  const std::lock_guard lock(mutex_);
  fine_.add(now / kFineS, more);
  coarse_.add(now / kCoarseS, more);
  ++version_;
}

std::optional<HistorySlot> History::sum(const Ring& ring, std::int64_t begin_s, std::int64_t end_s) const {
  std::optional<HistorySlot> out;
  for (std::int64_t at = begin_s; at < end_s; at += ring.width_s) {
    const HistorySlot* const slot = ring.find(at / ring.width_s);
    if (slot == nullptr) continue;
    if (!out) out.emplace();
    *out += *slot;
  }
  return out;
}

HistorySpan History::span(const HistoryRange& range) const {
  const std::int64_t now = clock_.unix_seconds();
  const std::int64_t end = (now / range.step_s + 1) * range.step_s;
  HistorySpan out{
      .begin_unix_s = std::max<std::int64_t>(end - range.span_s, 0), .steps = {}, .total = {}, .before = {}};
  const std::lock_guard lock(mutex_);
  const Ring& ring = needs_coarse(range) ? coarse_ : fine_;
  for (std::int64_t at = out.begin_unix_s; at < end; at += range.step_s) {
    // Not what lies after now: a clock that went back has been there.
    out.steps.push_back(sum(ring, at, std::min(at + range.step_s, now + 1)));
    if (out.steps.back()) out.total += *out.steps.back();
  }
  const std::int64_t before = out.begin_unix_s - range.span_s;
  const bool known = 2 * range.span_s <= kCoarseS * static_cast<std::int64_t>(kCoarseSlots);
  const bool fine = 2 * range.span_s <= kFineS * static_cast<std::int64_t>(kFineSlots);
  if (known && before > 0) out.before = sum(fine ? fine_ : coarse_, before, out.begin_unix_s);
  return out;
}

std::string History::state() const {
  std::string out(kMagic);
  {
    const std::lock_guard lock(mutex_);
    append(fine_.slots, out);
    append(coarse_.slots, out);
  }
  const base::Digest digest = base::sha256(out);
  out.append(reinterpret_cast<const char*>(digest.bytes.data()), kDigestBytes);
  return out;
}

std::uint64_t History::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

base::Status History::restore(std::string_view state) {
  if (state.size() < kMagic.size() + kDigestBytes || !state.starts_with(kMagic))
    return no_state("it is no history of this version");
  std::string_view text = state.substr(0, state.size() - kDigestBytes);
  base::Digest kept;
  std::memcpy(kept.bytes.data(), state.data() + text.size(), kDigestBytes);
  if (base::sha256(text) != kept) return no_state("its checksum is wrong");
  text.remove_prefix(kMagic.size());
  std::vector<HistorySlot> fine, coarse;
  if (!take(text, fine) || !take(text, coarse) || !text.empty())
    return no_state("it ends too early or too late");
  const std::int64_t now = clock_.unix_seconds();
  const std::lock_guard lock(mutex_);
  for (auto& [ring, slots] : {std::pair{&fine_, &fine}, std::pair{&coarse_, &coarse}}) {
    for (const HistorySlot& slot : *slots) {
      const bool past = slot.number > 0 && slot.number <= now / ring->width_s;
      if (past && ring->at(slot.number).number <= slot.number) ring->add(slot.number, slot);
    }
  }
  ++version_;
  return {};
}

}  // namespace pmt::api
