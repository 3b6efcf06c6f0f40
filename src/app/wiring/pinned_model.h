// A model that was loaded at the start and stays, as GET /v1/models shows it: when it was last used, what
// it takes, and whether another file lies at its path by now, which is said in the log by whoever sees it
// first. Thread-safety: any thread. Cost: a stat for each request.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "engine/file_identity.h"
#include "inference/local_model.h"
#include "llm/completer.h"

namespace pmt::app {

class PinnedModel final : public llm::Completer {
 public:
  /// `inner` answers for `model`. All outlive this.
  PinnedModel(llm::Completer& inner, const inference::LocalModel& model, const base::Clock& clock);
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;
  nlohmann::json residency();

 private:
  void look_at_file();

  llm::Completer& inner_;
  const inference::LocalModel& model_;
  const base::Clock& clock_;
  const std::optional<engine::FileIdentity> file_;                      // when it was loaded
  std::atomic<std::int64_t> last_used_unix_s_{0}, replaced_unix_s_{0};  // 0: never
};

/// What it may take, as models on demand count it.
std::int64_t bytes_reserved(const inference::LocalModel& model);

}  // namespace pmt::app
