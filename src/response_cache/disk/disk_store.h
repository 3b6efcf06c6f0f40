// Cache 1 below RAM: entries in one LMDB file, so that a restart starts warm (note 0008).
//
// put and erase note a change and return; one thread writes the changes as synced transactions, a few a
// second or as fast as the disk takes them. get sees changes not yet written. flush returns when everything
// before it is on the disk.
//
// Errors after open are counted and told once to `on_warning`: a full disk or a failing one loses no more
// than the copies on disk, and is tried again. A record whose checksum fails is absent, and is removed.
// Thread-safety: any thread may call anything.
// Cost: get 1 to 3 us past decoding; at start the file's structure is read (store_check.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "response_cache/store/entry_codec.h"

namespace pmt::response_cache {

struct DiskOptions {
  std::string path;                          // a folder, made if absent
  std::size_t bytes_max = 4ULL << 30;        // of the file
  std::size_t waiting_bytes_max = 64 << 20;  // of changes not yet written: above, stores stay in RAM only
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
  std::vector<std::string> checker = {};  // a program that looks at the file first: see check_store_apart
};

struct DiskStats {
  std::uint64_t entries = 0;  // with those still to be written, without those still to be erased
  std::uint64_t bytes = 0;    // of the file
  std::uint64_t hits = 0;     // lookups that it answered, RAM having nothing: counted by whoever looks up
  std::uint64_t written = 0, evicted = 0, dropped = 0, failures = 0, corrupt = 0;
  std::string set_aside = {};  // where a damaged file is that was found at the start; "": none was
};

class DiskStore {
 public:
  /// A damaged file is renamed to NAME.damaged-N, and a new one begun. Errors: kIo (the folder can't be made
  /// or written, the file can't be opened or set aside), kUnavailable (another process has it).
  static base::Result<std::unique_ptr<DiskStore>> open(DiskOptions options);
  /// Writes what waits.
  virtual ~DiskStore() = default;

  virtual std::optional<OutsideEntry> get(const Key& key) = 0;
  virtual void put(const Key& key, std::shared_ptr<const Entry> entry) = 0;
  virtual void erase(const Key& key) = 0;
  /// Removes what matches, at once. Cost: reads every record's metadata.
  virtual std::vector<Key> purge(const std::function<bool(const Key&, const StoreOptions&)>& matches) = 0;
  /// Every record with `from` <= key <= `to` that can be read, in order. One snapshot for its duration.
  virtual void visit(const Key& from, const Key& to, const std::function<void(OutsideEntry)>& visit) = 0;
  /// Errors: kIo, what could not be written since the last flush.
  virtual base::Status flush() = 0;
  virtual DiskStats stats() const = 0;
};

}  // namespace pmt::response_cache
