// The files of one model's packs: NAME.pack in a folder, and a lock file a domain.
//
// Invariants: 1. a pack is replaced whole or not at all; 2. whoever holds a domain's lock is the only one that reads,
// changes and writes it, over threads and processes; 3. a pack that can't be read, or belongs to another model, is
// never given out and never deleted: a damaged one is set aside as NAME.pack.damaged-N.
// Thread-safety: any thread. Errors name the file, and leave what is in it as it was.
// Cost: changed() is one stat; reading and writing are of one whole pack.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "knowledge_cache/packs/domain.h"

namespace pmt::knowledge_cache {

class PackFolder {
 public:
  struct Options {
    std::string path;        // made when first needed
    std::string model;       // the digest of the model's file: packs of others aren't read
    std::string model_name;  // for people
  };
  /// A pack, and its file's stamp at that time.
  struct Stamped {
    std::shared_ptr<const Domain> domain;
    std::int64_t stamp = 0;
  };
  class Lock;

  PackFolder(Options options, const base::Clock& clock) : options_(std::move(options)), clock_(clock) {}

  /// Waits its turn. Errors: kIo.
  base::Result<std::unique_ptr<Lock>> lock(const std::string& domain) const;

  /// Whether packs may have come, changed or gone since the last call.
  bool changed();
  /// Whose packs are there.
  std::set<std::string> domains() const;
  /// Another one once the file is another; 0: there is none.
  std::int64_t stamp(const std::string& domain) const;

  /// Errors: kCorrupt (it was set aside), kUnprocessable (of another model), kIo, kNotFound.
  base::Result<Stamped> read(const std::string& domain) const;
  /// Returns the new file's stamp. Errors: kIo.
  base::Result<std::int64_t> write(const Domain& domain) const;
  base::Status remove(const std::string& domain) const;

  const std::string& path() const { return options_.path; }

 private:
  using Time = std::pair<std::int64_t, std::int64_t>;  // s, ns
  std::string path_of(const std::string& domain) const;

  const Options options_;
  const base::Clock& clock_;
  std::mutex mutex_;
  std::optional<Time> seen_at_;  // under mutex_: the folder's; none: it can't be relied on
};

/// Ends with the lock.
class PackFolder::Lock {
 public:
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  friend class PackFolder;
  explicit Lock(int file) : file_(file) {}
  const int file_;
};

}  // namespace pmt::knowledge_cache
