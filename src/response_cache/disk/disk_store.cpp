#include "response_cache/disk/disk_store.h"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <random>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/guard.h"
#include "response_cache/disk/store_check.h"
#include "response_cache/store/entry_record.h"

namespace pmt::response_cache {
namespace {

constexpr const char* kFile = "responses.mdb";
constexpr auto kGather = std::chrono::milliseconds(20);  // changes of so long make one transaction
constexpr auto kAfterFailure = std::chrono::seconds(10);
constexpr std::size_t kParts = 32;  // no transaction and no entry is larger than this part of the file
constexpr std::chrono::seconds kCheckAtLeast(10);
constexpr std::uint64_t kCheckBytesPerMs = 10'000;  // a slow disk's 10 MB/s

MDB_val val(const Key& key) {
  return {key.bytes.size(), const_cast<std::uint8_t*>(key.bytes.data())};
}
std::string_view view(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

struct Closed {
  void operator()(MDB_env* env) const { mdb_env_close(env); }
  void operator()(MDB_txn* txn) const { mdb_txn_abort(txn); }
  void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
};
using Env = std::unique_ptr<MDB_env, Closed>;
using Txn = std::unique_ptr<MDB_txn, Closed>;
using Cursor = std::unique_ptr<MDB_cursor, Closed>;

int begin(MDB_env* env, unsigned flags, Txn& txn) {
  MDB_txn* raw = nullptr;
  const int rc = mdb_txn_begin(env, nullptr, flags, &raw);
  txn.reset(raw);
  return rc;
}

/// What LMDB itself finds wrong with a file as it opens it.
bool says_damaged(int rc) {
  return rc == MDB_INVALID || rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_VERSION_MISMATCH ||
         rc == MDB_INCOMPATIBLE;
}

class LmdbStore final : public DiskStore {
 public:
  LmdbStore(DiskOptions options, int lock) : options_(std::move(options)), lock_(lock) {}
  ~LmdbStore() override {
    if (writer_.joinable()) {
      {
        const std::lock_guard lock(mutex_);
        stop_ = true;
      }
      wake_.notify_all();
      writer_.join();
    }
    env_.reset();
    close(lock_);
  }

  base::Status start(const std::string& file) {
    TRY(check(file));
    int rc = open_env(file);
    if (says_damaged(rc)) {
      TRY(begin_anew(file, mdb_strerror(rc)));
      rc = open_env(file);
    }
    if (rc != 0)
      return base::Error{base::Code::kIo, fmt::format("can't open {}: {}", file, mdb_strerror(rc))};
    writer_ = std::thread([this] { base::keep_running({base::Thread::kDisk}, [this] { write(); }); });
    return {};
  }

  std::optional<OutsideEntry> get(const Key& key) override {
    {
      const std::lock_guard lock(mutex_);
      for (const Changes* changes : {&waiting_, &writing_}) {
        const auto found = changes->find(key);
        if (found == changes->end()) continue;
        if (!found->second) return std::nullopt;
        const Entry& entry = *found->second;
        return OutsideEntry{key, entry.value, entry.meta, entry.stored_unix_s};
      }
    }
    std::optional<OutsideEntry> out;
    bool damaged = false;
    {
      Txn txn;
      if (begin(env_.get(), MDB_RDONLY, txn) != 0) return std::nullopt;
      MDB_val at = val(key), bytes{};
      if (mdb_get(txn.get(), dbi_, &at, &bytes) != 0) return std::nullopt;
      out = read_record(key, view(bytes));
      damaged = !out;
    }
    if (!damaged) return out;
    erase(key);
    const std::lock_guard lock(mutex_);
    ++stats_.corrupt;
    return out;
  }

  void put(const Key& key, std::shared_ptr<const Entry> entry) override { change(key, std::move(entry)); }
  void erase(const Key& key) override { change(key, nullptr); }

  std::vector<Key> purge(const std::function<bool(const Key&, const StoreOptions&)>& matches) override {
    (void)flush();
    std::vector<Key> gone;
    Txn txn;
    if (begin(env_.get(), 0, txn) != 0) return gone;
    MDB_cursor* raw = nullptr;
    if (mdb_cursor_open(txn.get(), dbi_, &raw) != 0) return gone;
    Cursor cursor(raw);
    MDB_val at{}, bytes{};
    for (int rc = mdb_cursor_get(raw, &at, &bytes, MDB_FIRST); rc == 0;
         rc = mdb_cursor_get(raw, &at, &bytes, MDB_NEXT)) {
      const auto meta = read_record_meta(view(bytes));
      Key key;
      std::memcpy(key.bytes.data(), at.mv_data, key.bytes.size());
      if (meta && !matches(key, *meta)) continue;
      if (mdb_cursor_del(raw, 0) != 0) break;
      if (meta) gone.push_back(key);
    }
    cursor.reset();
    if (mdb_txn_commit(txn.release()) != 0) gone.clear();
    return gone;
  }

  void visit(const Key& from, const Key& to, const std::function<void(OutsideEntry)>& visit) override {
    Txn txn;
    if (begin(env_.get(), MDB_RDONLY, txn) != 0) return;
    MDB_cursor* raw = nullptr;
    if (mdb_cursor_open(txn.get(), dbi_, &raw) != 0) return;
    const Cursor cursor(raw);
    MDB_val at = val(from), bytes{};
    for (int rc = mdb_cursor_get(raw, &at, &bytes, MDB_SET_RANGE); rc == 0;
         rc = mdb_cursor_get(raw, &at, &bytes, MDB_NEXT)) {
      Key key;
      std::memcpy(key.bytes.data(), at.mv_data, key.bytes.size());
      if (key > to) return;
      if (auto entry = read_record(key, view(bytes))) visit(std::move(*entry));
    }
  }

  base::Status flush() override {
    std::unique_lock lock(mutex_);
    const std::uint64_t until = changes_;
    urgent_ = true;
    wake_.notify_all();
    written_.wait(lock, [&] { return done_ >= until; });
    if (std::exchange(lost_, false))
      return base::Error{base::Code::kIo, "the response cache's disk: " + last_failure_};
    return {};
  }

  DiskStats stats() const override {
    const std::lock_guard lock(mutex_);  // over the snapshot too: which changes it has is known then
    DiskStats out = stats_;
    MDB_stat stat{};
    Txn txn;
    if (begin(env_.get(), MDB_RDONLY, txn) == 0 && mdb_stat(txn.get(), dbi_, &stat) == 0) {
      out.entries = stat.ms_entries;
      out.bytes = (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages) * stat.ms_psize;
      for (const auto& [key, entry] : waiting_) count_change(txn.get(), key, entry != nullptr, out.entries);
      for (const auto& [key, entry] : writing_) {
        if (!waiting_.contains(key)) count_change(txn.get(), key, entry != nullptr, out.entries);
      }
    }
    return out;
  }

 private:
  /// What a change that may not be written yet does to the number of entries.
  void count_change(MDB_txn* txn, const Key& key, bool put, std::uint64_t& entries) const {
    MDB_val at = val(key), bytes{};
    const bool there = mdb_get(txn, dbi_, &at, &bytes) == 0;
    if (put && !there) ++entries;
    if (!put && there) --entries;
  }

  /// LMDB sees no file that it could trip over.
  base::Status check(const std::string& file) {
    std::error_code failed;
    const auto bytes = std::filesystem::file_size(file, failed);
    if (failed == std::errc::no_such_file_or_directory) return {};
    const std::chrono::milliseconds patience =
        kCheckAtLeast + std::chrono::milliseconds(failed ? 0 : bytes / kCheckBytesPerMs);
    const base::Status whole = check_store_apart(file, options_.checker, patience);
    if (whole || whole.error().code != base::Code::kCorrupt) return whole;
    return begin_anew(file, whole.error().message);
  }

  base::Status begin_anew(const std::string& file, const std::string& why) {
    TRY_ASSIGN(stats_.set_aside, base::set_aside(file));
    options_.on_warning(
        fmt::format("response cache: {} is damaged ({}). It was set aside as {}, and a new one begun", file,
                    why, stats_.set_aside));
    return {};
  }

  int open_env(const std::string& file) {
    MDB_env* raw = nullptr;
    int rc = mdb_env_create(&raw);
    env_.reset(raw);
    if (rc == 0) rc = mdb_env_set_mapsize(env_.get(), options_.bytes_max / 4096 * 4096);
    if (rc == 0) rc = mdb_env_set_maxreaders(env_.get(), 512);
    if (rc == 0) rc = mdb_env_open(env_.get(), file.c_str(), MDB_NOSUBDIR | MDB_NORDAHEAD, 0600);
    Txn txn;
    if (rc == 0) rc = begin(env_.get(), 0, txn);
    if (rc == 0) rc = mdb_dbi_open(txn.get(), nullptr, 0, &dbi_);
    if (rc == 0) rc = mdb_txn_commit(txn.release());
    return rc;
  }

  using Changes = std::unordered_map<Key, std::shared_ptr<const Entry>, base::DigestHash>;  // null: erased

  void change(const Key& key, std::shared_ptr<const Entry> entry) {
    const std::lock_guard lock(mutex_);
    const std::size_t bytes = entry ? entry->bytes : 0;
    if (bytes > options_.bytes_max / kParts) {
      ++stats_.dropped;
      entry = nullptr;
    } else if (waiting_bytes_ + bytes > options_.waiting_bytes_max) {
      ++stats_.dropped;
      lost_ = true;
      last_failure_ = "writes came faster than the disk took them";
      entry = nullptr;  // an older value must not come back either
    } else {
      waiting_bytes_ += bytes;
    }
    waiting_.insert_or_assign(key, std::move(entry));
    ++changes_;
    if (waiting_.size() == 1) wake_.notify_all();
  }

  void write() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [&] { return stop_ || !waiting_.empty() || done_ < changes_; });
      if (!stop_ && !urgent_) wake_.wait_for(lock, kGather, [&] { return stop_ || urgent_; });
      urgent_ = false;
      const std::uint64_t until = changes_;
      writing_ = std::exchange(waiting_, {});
      waiting_bytes_ = 0;
      const bool last = stop_;
      lock.unlock();
      int rc = ENOMEM;
      base::survives({base::Thread::kDisk}, [&] { rc = write_all(writing_); });
      lock.lock();
      if (rc != 0)
        failed(rc);
      else if (!writing_.empty())
        failing_ = false;
      Changes gone = std::exchange(writing_, {});
      done_ = until;
      written_.notify_all();
      lock.unlock();
      gone.clear();  // not under the lock: a lookup would wait for it
      lock.lock();
      if (last && waiting_.empty()) return;
      if (rc != 0 && !last) wake_.wait_for(lock, kAfterFailure, [&] { return stop_ || urgent_; });
    }
  }

  /// In transactions of a part of the file at most: each needs fresh pages for all that it writes.
  int write_all(const Changes& changes) {
    auto begin = changes.begin();
    while (begin != changes.end()) {
      auto end = begin;
      for (std::size_t bytes = 0; end != changes.end() && bytes < options_.bytes_max / kParts; ++end)
        bytes += end->second ? end->second->bytes : 100;
      int rc = try_write(begin, end);
      for (int i = 0; rc == MDB_MAP_FULL && i < 20; ++i) {
        rc = make_room();
        if (rc == 0) rc = try_write(begin, end);
      }
      if (rc != 0) return rc;
      begin = end;
    }
    return 0;
  }

  int try_write(Changes::const_iterator from, Changes::const_iterator to) {
    Txn txn;
    int rc = begin(env_.get(), 0, txn);
    std::uint64_t count = 0;
    for (auto it = from; rc == 0 && it != to; ++it) {
      MDB_val at = val(it->first);
      if (!it->second) {
        rc = mdb_del(txn.get(), dbi_, &at, nullptr);
        if (rc == MDB_NOTFOUND) rc = 0;
        continue;
      }
      const std::string record = record_of(*it->second);
      MDB_val bytes{record.size(), const_cast<char*>(record.data())};
      rc = mdb_put(txn.get(), dbi_, &at, &bytes, 0);
      ++count;
    }
    if (rc == 0) rc = mdb_txn_commit(txn.release());
    if (rc != 0) return rc;
    const std::lock_guard lock(mutex_);
    stats_.written += count;
    return 0;
  }

  /// Removes a twentieth of the entries, from a random key on. In several transactions: removing needs pages
  /// too, and those that it frees can be used only by the one after the next.
  int make_room() {
    MDB_stat stat{};
    std::uint64_t left = 0;
    for (int part = 0; part < 3; ++part) {
      Txn txn;
      if (const int rc = begin(env_.get(), 0, txn); rc != 0) return rc;
      if (const int rc = mdb_stat(txn.get(), dbi_, &stat); rc != 0) return rc;
      if (part == 0) left = stat.ms_entries / 20 + 1;
      MDB_cursor* raw = nullptr;
      if (const int rc = mdb_cursor_open(txn.get(), dbi_, &raw); rc != 0) return rc;
      Cursor cursor(raw);
      Key from;
      for (auto& byte : from.bytes) byte = static_cast<std::uint8_t>(random_());
      MDB_val at = val(from), bytes{};
      int rc = mdb_cursor_get(raw, &at, &bytes, MDB_SET_RANGE);
      std::uint64_t removed = 0;
      for (; removed < left / 3 + 1; ++removed) {
        if (rc == MDB_NOTFOUND) rc = mdb_cursor_get(raw, &at, &bytes, MDB_FIRST);
        if (rc != 0) break;
        if (const int deleted = mdb_cursor_del(raw, 0); deleted != 0) return deleted;
        rc = mdb_cursor_get(raw, &at, &bytes, MDB_GET_CURRENT);
        if (rc == EINVAL) rc = MDB_NOTFOUND;
      }
      cursor.reset();
      if (const int committed = mdb_txn_commit(txn.release()); committed != 0) return committed;
      const std::lock_guard lock(mutex_);
      stats_.evicted += removed;
    }
    return 0;
  }

  /// Needs mutex_.
  void failed(int rc) {
    ++stats_.failures;
    lost_ = true;
    last_failure_ = mdb_strerror(rc);
    if (std::exchange(failing_, true)) return;
    options_.on_warning(
        fmt::format("response cache: can't write to {}: {}. Answers are kept in memory only; "
                    "it is tried again every {} s",
                    options_.path, last_failure_, kAfterFailure.count()));
  }

  const DiskOptions options_;
  const int lock_;
  Env env_;
  MDB_dbi dbi_ = 0;
  std::thread writer_;
  std::minstd_rand random_{std::random_device{}()};

  mutable std::mutex mutex_;
  std::condition_variable wake_, written_;
  Changes waiting_, writing_;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t changes_ = 0, done_ = 0;
  bool stop_ = false, urgent_ = false, failing_ = false, lost_ = false;
  std::string last_failure_;
  DiskStats stats_;
};

}  // namespace

base::Result<std::unique_ptr<DiskStore>> DiskStore::open(DiskOptions options) {
  namespace fs = std::filesystem;
  std::error_code failed;
  fs::create_directories(options.path, failed);
  const std::string lock_file = (fs::path(options.path) / "lock").string();
  const int lock = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock < 0) {
    return base::Error{base::Code::kIo, fmt::format("can't write to the response cache's folder {}: {}",
                                                    options.path, std::strerror(errno))};
  }
  if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
    close(lock);
    return base::Error{base::Code::kUnavailable,
                       fmt::format("another server uses the response cache's folder {}: give each its own, "
                                   "cache.path in the config",
                                   options.path)};
  }
  const std::string file = (fs::path(options.path) / kFile).string();
  auto store = std::make_unique<LmdbStore>(std::move(options), lock);
  TRY(store->start(file));
  return std::unique_ptr<DiskStore>(std::move(store));
}

}  // namespace pmt::response_cache
