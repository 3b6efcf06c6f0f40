// The models of a server that are loaded by their first request and unloaded again (note 0039).
//
//   request -> OnDemandCompleter -> ModelHost::lend -> a lease on the loaded model -> LocalModel
//                                        | not loaded: it waits
//                                        v
//                 one thread, in order of arrival: makes room, loads, lends to all who wait
//
// A model is lent to a request for as long as it runs there; who holds a lease can't lose the model. One
// that nobody holds is unloaded after `idle_s`, or when another one needs its room: the least recently used
// first. Where only busy ones could go, they get no new requests until the one that waits has its room.
//
// The memory of a model is what it may take: its file's bytes, its page pool's ceiling and working memory.
// So the sum stays under the ceiling also when every pool fills up.
//
// A file that was replaced is noticed by the next request or look: the loaded model ends what it runs, and
// the next request loads the new file. A load that fails is tried again by the first request after a pause
// that doubles, or at once when the file changes.
//
// Thread-safety: any thread; close() and the destructor one. `lend`'s callbacks run on the thread that
// lends: the caller's own, the host's, or the one that cancels. Leases must be gone before the host is, but
// for those of requests that close() ends. Errors: kUnavailable with `retry_after_s` (failed, too many
// wait, shutting down), kCancelled, kDeadline. Cost: a stat and a lock a request.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/result.h"
#include "engine/file_identity.h"
#include "engine/model_header.h"
#include "inference/local_model.h"

namespace pmt::engine {

struct ModelHostOptions {
  std::vector<inference::LocalModelOptions> models = {};  // of different names
  std::int64_t bytes_max = 0;        // of all models of the process; 0: what the machine has now
  std::int64_t bytes_elsewhere = 0;  // of them: what models may take that are always loaded
  double idle_s = 0;                 // 0: never unloaded because nobody asks
  double retry_s = 10, retry_s_max = 600;
  std::function<void(const std::string&)> on_info = [](const std::string&) {};
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
};

enum class ModelState {
  kUnloaded,
  kWaiting,  // for room, or for the load of another one
  kLoading,
  kReady,
  kUnloading,  // or about to, as soon as what it runs has ended
  kFailed,
};
const char* to_string(ModelState state);

struct ModelStatus {
  ModelState state = ModelState::kUnloaded;
  double progress = 0;                                // of the loading: 0 to 1
  std::int64_t bytes = 0;                             // in memory now: weights, and pages of keys and values
  std::int64_t bytes_reserved = 0;                    // what it may take, against the ceiling
  std::optional<std::int64_t> last_used_unix_s = {};  // unset: never
  std::int64_t running = 0, waiting = 0;              // requests
  std::optional<std::int64_t> replaced_unix_s = {};   // when its file was last seen to be another one
  std::string error = {};                             // of a failed one: why
  double retry_s = 0;                                 // and in how many seconds a request tries it again
  std::uint64_t loads = 0, unloads = 0, load_failures = 0;
  double load_seconds = 0;                                       // of all loads
  std::optional<ModelHeader> header = {};                        // as last read
  std::optional<inference::ModelInfo> info = {};                 // as last loaded
  std::optional<inference::CalibrationStatus> calibration = {};  // of a loaded one
};

struct MemoryUse {
  std::int64_t bytes_reserved = 0;  // by all models, those elsewhere included
  std::int64_t bytes_max = 0;
};

struct LendOptions {
  base::CancelToken cancel = {};
  std::optional<base::Nanos> deadline = {};  // of the clock: kDeadline if it hasn't begun by then
  bool at_once = false;                      // also one whose last load failed just now
};

class ModelHost {
 public:
  struct Lease {
    std::shared_ptr<inference::LocalModel>
        model;          // given back with its last copy, which no callback may keep
    FileIdentity file;  // that it was loaded from
  };
  using Lent = std::function<void(base::Result<Lease>)>;

  /// Reads the models' headers: a file that can't be loaded has failed from the start.
  ModelHost(ModelHostOptions options, const base::Clock& clock);
  ~ModelHost();
  ModelHost(const ModelHost&) = delete;
  ModelHost& operator=(const ModelHost&) = delete;

  std::vector<std::string> names() const;
  bool has(const std::string& name) const;

  // Requires of all below: has(name).

  /// `done` is called exactly once.
  void lend(const std::string& name, LendOptions options, Lent done);
  /// The same, waiting.
  base::Result<Lease> lend_now(const std::string& name);
  /// The loaded model, to be looked at: no use of it. Unset: it isn't loaded.
  std::optional<Lease> loaded(const std::string& name) const;
  /// `done` comes when it is gone. Errors: kConflict, it is busy.
  void unload(const std::string& name, std::function<void(base::Status)> done);

  ModelStatus status(const std::string& name);
  /// What its engine did, of all times that it was loaded.
  inference::EngineStats totals(const std::string& name) const;
  /// What keeps its requests waiting now, to be shown to them; "": nothing.
  std::string doing(const std::string& name) const;
  /// Which file is there now.
  std::string file_version(const std::string& name) const;
  MemoryUse memory() const;

  /// Who waits is told that the server ends, as is who comes; a load that runs is ended. Idempotent, as the
  /// next.
  void stop_lending();
  /// Ends what the models run, and unloads them all.
  void close();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace pmt::engine
