// Blocks of prefixes as files under one folder, for all models of a server: FOLDER/TENANT/NAME.kv (note 0040).
//
// Invariants:
//   1. A file is there whole or not at all: written beside its place, synced, renamed.
//   2. All files together take at most `bytes_max`, save for up to kAsideMax damaged ones. Only blocks that nothing goes
//      on from are given up, those first that save the least computing a byte, by use and time since the last use.
//   3. What was wiped is gone when wipe() returns, and nothing that was submitted before comes after it.
//   4. One process at a time: a lock file.
// Thread-safety: any thread may call anything; one thread of its own writes. Errors: a write that fails is counted and
// warned of, what waits then is dropped, and for kAfterFailure nothing is written. A file that is damaged is renamed
// (NAME.kv.damaged-N), counted and warned of.
// Cost: known() is a look into a hash map a block; read() one file; open() reads every file's header.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/result.h"
#include "kv_cache/disk/block_file.h"

namespace pmt::kv_cache {

struct PrefixFilesOptions {
  std::string path;
  std::int64_t bytes_max = 0;
  std::string secret = {};  // BlockFile's
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
};

struct PrefixFilesStats {
  std::int64_t entries = 0, bytes = 0, bytes_max = 0;
  std::int64_t waiting = 0;  // blocks that are yet to be written
  std::uint64_t reads = 0, writes = 0, failures = 0,
                dropped = 0;  // dropped: never written, their pages were wanted or there was no room
  std::uint64_t damaged = 0, evicted = 0, wiped = 0;
  double oldest_s = 0;  // since it was written
  bool encrypted = false;
};

/// A block to be written. Its pages stay as they are until the ticket is done.
struct BlockToWrite {
  BlockInfo info;
  std::string tenant;
  std::vector<std::span<const std::byte>> pages;
};

/// Blocks that were submitted together.
class WriteTicket {
 public:
  /// Nobody reads their pages any more.
  bool done() const { return left_ == 0; }

 private:
  friend class PrefixFiles;
  std::atomic<int> left_{0};
};

/// Which blocks go: all that fit every part that is set.
struct WipeFilter {
  std::optional<std::string> tenant = {};
  /// The first hex digits of names: these blocks, what goes on from them, and what only led to them.
  std::optional<std::string> key_prefix = {};
};

class PrefixFiles {
 public:
  static constexpr int kAsideMax = 4;
  static constexpr std::chrono::seconds kAfterFailure{10};

  /// Errors: kUnavailable (another server has the folder), kIo.
  static base::Result<std::unique_ptr<PrefixFiles>> open(PrefixFilesOptions options,
                                                         const base::Clock& clock);
  /// Drops what waits. Requires: all tickets are done or cancelled.
  ~PrefixFiles();
  PrefixFiles(const PrefixFiles&) = delete;
  PrefixFiles& operator=(const PrefixFiles&) = delete;

  const base::Digest& name_secret() const { return codec_.name_secret(); }

  /// How many of `chain`, from its first on, can be read.
  std::size_t known(std::span<const base::Digest> chain) const;
  /// Whether it can be read, or will be when it is written.
  bool expects(const base::Digest& key) const;
  /// Its pages, in `buffer`, and counts a use. Errors: kNotFound; kCorrupt, it was set aside.
  base::Result<std::span<const std::byte>> read(const base::Digest& key, std::string& buffer,
                                                BlockInfo& info);

  /// Moves with each wipe: what was read before one may not be submitted after it.
  std::uint64_t epoch() const { return epoch_; }
  /// `epoch`: from before the first of the blocks was read; where there was a wipe since, nothing is written.
  std::shared_ptr<const WriteTicket> submit(std::vector<BlockToWrite> blocks, std::uint64_t epoch);
  /// Waits only for the one that is being written.
  void cancel(const WriteTicket& ticket);
  /// Waits until it is done, but not past `timeout`. True: it is.
  bool wait(const WriteTicket& ticket, std::chrono::milliseconds timeout);

  /// Returns how many files went.
  std::size_t wipe(const WipeFilter& filter);

  PrefixFilesStats stats() const;

 private:
  struct Entry {
    std::string folder;  // of its tenant, in `path`
    base::Digest parent;
    std::int64_t bytes = 0;
    double compute_ms = 0;
    std::int64_t written_unix_s = 0, used_unix_s = 0;
    std::uint32_t uses = 0;
    bool foreign = false;  // of another secret
  };
  struct Waiting {
    BlockToWrite block;
    std::shared_ptr<WriteTicket> ticket;
  };
  using Entries = std::unordered_map<base::Digest, Entry, base::DigestHash>;

  PrefixFiles(PrefixFilesOptions options, const base::Clock& clock, base::Fd lock);
  void load();
  void load_file(const std::string& folder, const std::string& name);
  void run();
  void write_next(std::unique_lock<std::mutex>& lock);
  base::Status write(const BlockToWrite& block);
  void settle(const BlockToWrite& block, const base::Status& written);
  void drop_waiting(const std::function<bool(const Waiting&)>& which);
  void ended(const Waiting& waiting);
  bool reachable(const BlockInfo& block) const;
  bool make_room(std::int64_t bytes, const base::Digest& kept);
  void add(const base::Digest& key, Entry entry);
  void forget(Entries::iterator entry);
  void remove(Entries::iterator entry);
  void aside(const std::string& file, const std::string& why);
  double worth(const Entry& entry) const;
  std::string folder_of(const std::string& tenant) const;
  std::string file_of(const base::Digest& key, const Entry& entry) const;
  std::vector<base::Digest> chosen(const WipeFilter& filter) const;
  void remove_leftovers(const std::optional<std::string>& folder);

  const PrefixFilesOptions options_;
  const base::Clock& clock_;
  const base::Fd lock_;
  const BlockFile codec_;

  mutable std::mutex mutex_;
  std::condition_variable wake_, idle_;
  std::atomic<std::uint64_t> epoch_{0};  // changed under mutex_, as is all below
  Entries entries_;
  std::unordered_map<base::Digest, int, base::DigestHash> children_;  // entries by their parent
  std::unordered_set<base::Digest, base::DigestHash> expected_;       // waiting or being written
  std::deque<Waiting> waiting_;
  std::optional<Waiting> writing_;
  PrefixFilesStats stats_;
  int aside_ = 0;
  bool failing_ = false, stop_ = false;
  base::Nanos failed_at_{0};

  std::thread writer_;
};

}  // namespace pmt::kv_cache
