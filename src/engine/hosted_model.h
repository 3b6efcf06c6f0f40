// One model of a ModelHost, as its host keeps it: all of it under the host's lock, but for what says
// otherwise.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/model_host.h"

namespace pmt::engine {

struct HostedModel;

/// A model in memory. The host's thread alone destroys it.
struct LoadedModel {
  HostedModel* of = nullptr;
  std::unique_ptr<inference::LocalModel> model;
  FileIdentity file;
  std::int64_t bytes = 0;  // that it may take
  int leases = 0;          // of whatever kind
  int running = 0;         // of requests
  std::vector<std::function<void(base::Status)>> on_gone = {};
};

/// Who waits for a model.
struct Waiting {
  ModelHost::Lent done;
  std::optional<base::Nanos> deadline;
  std::unique_ptr<base::CancelCallback> on_cancel = {};  // set before it is listed
};

struct LoadFailure {
  base::Error error;
  std::optional<FileIdentity> file;  // that it was
  base::Nanos retry_at{0};
};

struct HostedModel {
  explicit HostedModel(inference::LocalModelOptions given) : options(std::move(given)) {}

  const inference::LocalModelOptions options;
  std::optional<FileIdentity> on_disk = {};  // as last looked
  std::optional<ModelHeader> header = {};
  std::optional<inference::ModelInfo> info = {};
  std::unique_ptr<LoadedModel> current = {};  // null: not loaded
  std::deque<std::shared_ptr<Waiting>> waiting = {};
  bool queued = false;  // for the loader
  bool loading = false;
  bool draining = false;           // another one needs its room: no new requests
  int going = 0;                   // that were `current`, and aren't destroyed yet
  std::atomic<float> progress{0};  // any thread
  std::optional<LoadFailure> failure = {};
  int failures_in_a_row = 0;
  base::Nanos last_used{0};
  std::optional<std::int64_t> last_used_unix_s = {}, replaced_unix_s = {};
  std::uint64_t loads = 0, unloads = 0, load_failures = 0;
  double load_seconds = 0;
  inference::EngineStats past = {};  // of what is unloaded
};

/// Bytes that it may take, and the fewest with which it could be loaded at all.
std::int64_t bytes_wanted(const HostedModel& model);
std::int64_t bytes_least(const HostedModel& model);

}  // namespace pmt::engine
