#include "app/wiring/pinned_model.h"

#include <utility>

#include <spdlog/spdlog.h>

#include "app/wiring/status_json.h"
#include "inference/memory_fit.h"

namespace pmt::app {
namespace {

std::optional<engine::FileIdentity> file_at(const std::string& path) {
  const auto file = engine::FileIdentity::of(path);
  return file ? std::optional(*file) : std::nullopt;
}

std::optional<std::int64_t> unless_never(std::int64_t unix_s) {
  return unix_s == 0 ? std::nullopt : std::optional(unix_s);
}

}  // namespace

std::int64_t bytes_reserved(const inference::LocalModel& model) {
  return model.info().file_bytes + model.kv_stats().bytes_max + inference::kWorkingBytes;
}

PinnedModel::PinnedModel(llm::Completer& inner, const inference::LocalModel& model, const base::Clock& clock)
    : inner_(inner), model_(model), clock_(clock), file_(file_at(model.info().path)) {}

void PinnedModel::start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) {
  last_used_unix_s_ = clock_.unix_seconds();
  look_at_file();
  inner_.start(std::move(request), std::move(sink), std::move(cancel));
}

/// A file that is gone is no other one.
void PinnedModel::look_at_file() {
  if (replaced_unix_s_ != 0) return;
  const auto now = file_at(model_.info().path);
  if (!now || now == file_) return;
  std::int64_t never = 0;
  if (!replaced_unix_s_.compare_exchange_strong(never, clock_.unix_seconds())) return;
  spdlog::warn(
      "{}: its file {} was replaced. This server goes on with the one that it loaded, until it is restarted",
      model_.info().name, model_.info().path);
}

nlohmann::json PinnedModel::residency() {
  look_at_file();
  const inference::KvPoolStats pool = model_.kv_stats();
  const inference::EngineStats engine = model_.stats();
  return residency_json({.state = engine::ModelState::kReady,
                         .bytes = model_.info().file_bytes + pool.bytes_resident,
                         .bytes_reserved = bytes_reserved(model_),
                         .last_used_unix_s = unless_never(last_used_unix_s_),
                         .running = engine.running,
                         .waiting = engine.waiting,
                         .replaced_unix_s = unless_never(replaced_unix_s_)},
                        true);
}

}  // namespace pmt::app
