#include "rlm/sessions.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/guard.h"
#include "base/utf8.h"

namespace pmt::rlm {
namespace {

using base::Code;
using base::Error;

constexpr std::size_t kExchangesMax = 50;
constexpr std::size_t kExchangeBytesMax = 4'000;  // of a question, and of an answer
constexpr auto kSweepEvery = std::chrono::seconds(1);

std::string cut(const std::string& text) {
  return std::string(base::cut_utf8(text, kExchangeBytesMax));
}

double idle_seconds(base::Nanos used_at, base::Nanos now) {
  return base::ms_between(used_at, now) / 1e3;
}

}  // namespace

Sessions::Sessions(SessionLimits limits, const base::Clock& clock) : limits_(limits), clock_(clock) {
  sweeper_ = std::thread([this] { base::keep_running({base::Thread::kRlm}, [this] { sweep(); }); });
}

Sessions::~Sessions() {
  stop();
  sweeper_.join();
}

base::Result<Sessions::Lease> Sessions::take(const std::string& tenant, const std::string& id) {
  std::vector<std::unique_ptr<Entry>> closed;  // after the lock
  const std::lock_guard lock(mutex_);
  if (stopping_) return Error{Code::kUnavailable, "the server is stopping"};
  closed = remove_idle();
  const Key key{tenant, id};
  auto at = entries_.find(key);
  if (at == entries_.end()) {
    TRY(make_place(tenant, closed));
    at = entries_.emplace(key, std::make_unique<Entry>()).first;
    at->second->session.id = id;
    changed_.notify_all();
    ++totals_.begun;
  } else if (!at->second->busy) {
    ++totals_.resumed;
  }
  Entry& entry = *at->second;
  if (entry.busy) {
    return Error{
        Code::kConflict,
        fmt::format("'{}': another request of the session \"{}\" is being answered: send this one when that "
                    "has ended, or name another session",
                    kSessionField, id),
        kSessionField};
  }
  entry.busy = true;
  return Lease(*this, key, entry);
}

base::Status Sessions::make_place(const std::string& tenant, std::vector<std::unique_ptr<Entry>>& closed) {
  const auto any = [](const Entry&) { return true; };
  if (held(tenant) >= limits_.tenant_max) {
    const auto own = victim(tenant, any);
    if (own == entries_.end() || own->first.first != tenant) {
      return Error{
          Code::kExhausted,
          fmt::format(
              "'{}': {} sessions of this tenant are being answered, and it may have no more: try again "
              "when one has ended, or ask without a session",
              kSessionField, held(tenant)),
          kSessionField};
    }
    closed.push_back(remove(own));
    ++totals_.closed_for_room;
  }
  if (static_cast<int>(entries_.size()) < limits_.all_max) return {};
  const auto one = victim(tenant, any);
  if (one == entries_.end()) {
    return Error{
        Code::kUnavailable,
        fmt::format("'{}': all {} sessions are in use: try again later, ask without a session, or raise "
                    "rlm.sessions_max",
                    kSessionField, limits_.all_max),
        kSessionField};
  }
  closed.push_back(remove(one));
  ++totals_.closed_for_room;
  return {};
}

base::Status Sessions::hold(const Lease& lease, std::size_t bytes) {
  std::vector<std::unique_ptr<Entry>> closed;
  const std::lock_guard lock(mutex_);
  Entry& entry = *lease.entry_;
  if (entry.bytes + bytes > limits_.bytes_max) {
    return Error{
        Code::kTooLarge,
        fmt::format("'{}': its contexts would have {} bytes, and all sessions together may keep {}: begin "
                    "another session, ask without one, or raise rlm.sessions_mb",
                    kSessionField, entry.bytes + bytes, limits_.bytes_max),
        kSessionField};
  }
  while (bytes_ + bytes > limits_.bytes_max) {
    const auto one = victim(lease.key_.first, [](const Entry& other) { return other.bytes > 0; });
    if (one == entries_.end()) {
      return Error{
          Code::kUnavailable,
          fmt::format("'{}': the contexts of other sessions take {} of {} bytes, and they are in use: try "
                      "again later, ask without a session, or raise rlm.sessions_mb",
                      kSessionField, bytes_, limits_.bytes_max),
          kSessionField};
    }
    closed.push_back(remove(one));
    ++totals_.closed_for_room;
  }
  entry.bytes += bytes;
  bytes_ += bytes;
  return {};
}

bool Sessions::free_repl(const std::string& tenant) {
  std::unique_ptr<sandbox::Session> closed;
  const std::lock_guard lock(mutex_);
  const auto one = victim(tenant, [](const Entry& entry) { return entry.session.repl != nullptr; });
  if (one == entries_.end()) return false;
  Session& session = one->second->session;
  closed = std::move(session.repl);
  session.lost = "its sandbox was needed for another request";
  ++totals_.repls_closed;
  return true;
}

std::vector<Sessions::Shown> Sessions::list(const std::string& tenant) const {
  std::vector<Shown> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, entry] : entries_) {
    if (key.first != tenant) continue;
    Shown shown{.id = key.second, .bytes = entry->bytes, .busy = entry->busy};
    if (!entry->busy) {  // else they are being changed
      shown.turns = entry->session.answered;
      shown.contexts = entry->session.contexts.size();
      shown.repl = entry->session.repl != nullptr;
      shown.idle_s = idle_seconds(entry->used_at, clock_.now());
    }
    out.push_back(std::move(shown));
  }
  return out;
}

Sessions::Totals Sessions::totals() const {
  const std::lock_guard lock(mutex_);
  Totals out = totals_;
  out.open = entries_.size();
  out.busy = static_cast<std::size_t>(
      std::ranges::count_if(entries_, [](const auto& entry) { return entry.second->busy; }));
  out.bytes = bytes_;
  out.bytes_max = limits_.bytes_max;
  return out;
}

base::Status Sessions::end(const std::string& tenant, const std::string& id) {
  std::unique_ptr<Entry> closed;
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find({tenant, id});
  if (at == entries_.end()) {
    return Error{
        Code::kNotFound,
        fmt::format("There is no session '{}' here: it was never begun, or has ended.", id.substr(0, 64)),
        "id"};
  }
  if (at->second->busy) {
    return Error{
        Code::kConflict,
        fmt::format("A request of the session '{}' is being answered: end it when that has ended.", id),
        "id"};
  }
  closed = remove(at);
  return {};
}

void Sessions::close_idle() {
  std::vector<std::unique_ptr<Entry>> closed;
  const std::lock_guard lock(mutex_);
  closed = remove_idle();
}

void Sessions::stop() {
  Entries all;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    all.swap(entries_);
    bytes_ = 0;
  }
  changed_.notify_all();
}

void Sessions::give_back(const Key& key, bool kept) {
  std::unique_ptr<Entry> closed;
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(key);
  if (!kept) {
    closed = remove(at);
    return;
  }
  Entry& entry = *at->second;
  if (entry.session.repl) entry.session.repl->rest();
  entry.busy = false;
  entry.used_at = clock_.now();
}

int Sessions::held(const std::string& tenant) const {
  return static_cast<int>(
      std::ranges::count_if(entries_, [&](const auto& entry) { return entry.first.first == tenant; }));
}

Sessions::Entries::iterator Sessions::victim(const std::string& tenant, const Fits& fits) {
  const int own = held(tenant);
  auto best = entries_.end();
  for (auto at = entries_.begin(); at != entries_.end(); ++at) {
    const std::string& owner = at->first.first;
    const bool mine = owner == tenant;
    if (at->second->busy || !fits(*at->second) || (!mine && held(owner) <= own)) continue;
    const bool best_is_mine = best != entries_.end() && best->first.first == tenant;
    if (best == entries_.end() || (mine && !best_is_mine) ||
        (mine == best_is_mine && at->second->used_at < best->second->used_at)) {
      best = at;
    }
  }
  return best;
}

std::unique_ptr<Sessions::Entry> Sessions::remove(Entries::iterator at) {
  std::unique_ptr<Entry> entry = std::move(at->second);
  bytes_ -= entry->bytes;
  entries_.erase(at);
  return entry;
}

std::vector<std::unique_ptr<Sessions::Entry>> Sessions::remove_idle() {
  std::vector<std::unique_ptr<Entry>> closed;
  const base::Nanos now = clock_.now();
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto next = std::next(at);
    if (!at->second->busy && idle_seconds(at->second->used_at, now) >= limits_.idle_s)
      closed.push_back(remove(at));
    at = next;
  }
  totals_.closed_idle += closed.size();
  return closed;
}

void Sessions::sweep() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    changed_.wait(lock, [this] { return stopping_ || !entries_.empty(); });
    changed_.wait_for(lock, kSweepEvery, [this] { return stopping_; });
    lock.unlock();
    close_idle();
    lock.lock();
  }
}

Sessions::Lease::Lease(Lease&& other) noexcept
    : sessions_(std::exchange(other.sessions_, nullptr)), key_(std::move(other.key_)), entry_(other.entry_) {}

Sessions::Lease::~Lease() {
  if (sessions_ != nullptr) sessions_->give_back(key_, resumed());
}

void Sessions::Lease::keep(const std::string& question, const std::string& answer) {
  Session& session = entry_->session;
  ++session.answered;
  session.history.push_back({cut(question), cut(answer)});
  if (session.history.size() > kExchangesMax) session.history.erase(session.history.begin());
}

}  // namespace pmt::rlm
