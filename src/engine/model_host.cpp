#include "engine/model_host.h"

#include <algorithm>
#include <cmath>
#include <future>
#include <limits>

#include <fmt/format.h>

#include "base/guard.h"
#include "base/memory.h"
#include "engine/model_host_impl.h"
#include "inference/memory_fit.h"

namespace pmt::engine {
namespace {

using base::Code;
using base::Error;

Error shutting_down() {
  return {Code::kUnavailable, "the server is shutting down"};
}

double seconds(base::Nanos span) {
  return std::chrono::duration<double>(span).count();
}

/// Where nobody knows what there is, there is no ceiling.
std::int64_t ceiling_of(const ModelHostOptions& options) {
  if (options.bytes_max > 0) return options.bytes_max;
  const std::int64_t available = base::memory_available();
  if (available < 0) return std::numeric_limits<std::int64_t>::max();
  return available + options.bytes_elsewhere;
}

}  // namespace

const char* to_string(ModelState state) {
  static constexpr const char* kNames[] = {"unloaded", "waiting", "loading", "ready", "unloading", "failed"};
  return kNames[static_cast<int>(state)];
}

std::int64_t bytes_least(const HostedModel& model) {
  const auto draft = FileIdentity::of(model.options.draft_path);  // none, or it fails where it is loaded
  return (model.on_disk ? model.on_disk->bytes : 0) + (draft ? draft->bytes : 0) + inference::kWorkingBytes;
}

std::int64_t bytes_wanted(const HostedModel& model) {
  return bytes_least(model) + static_cast<std::int64_t>(model.options.kv_bytes_max);
}

ModelHost::Impl::Impl(ModelHostOptions given, const base::Clock& the_clock)
    : options_(std::move(given)), clock_(the_clock), bytes_max_(ceiling_of(options_)) {
  for (const inference::LocalModelOptions& each : options_.models) {
    auto model = std::make_unique<HostedModel>(each);
    if (const auto file = FileIdentity::of(each.path)) model->on_disk = *file;
    if (auto header = read_model_header(each.path)) {
      model->header = std::move(*header);
    } else {
      failed(*model, header.error(), model->on_disk);
    }
    models_.emplace(each.name, std::move(model));
  }
  thread_ = std::thread([this] { base::keep_running({base::Thread::kLoader}, [this] { run(); }); });
}

ModelHost::ModelHost(ModelHostOptions options, const base::Clock& clock)
    : impl_(std::make_unique<Impl>(std::move(options), clock)) {}

ModelHost::~ModelHost() {
  close();
}

std::vector<std::string> ModelHost::names() const {
  std::vector<std::string> out;
  for (const auto& [name, model] : impl_->models_) out.push_back(name);
  return out;
}

bool ModelHost::has(const std::string& name) const {
  return impl_->models_.contains(name);
}

// --- Lending ---------------------------------------------------------------------------------------------

ModelHost::Lease ModelHost::Impl::lease_of(LoadedModel& loaded, bool is_use) {
  ++loaded.leases;
  if (is_use) {
    ++loaded.running;
    loaded.of->last_used = clock_.now();
    loaded.of->last_used_unix_s = clock_.unix_seconds();
  }
  return {
      .model = std::shared_ptr<inference::LocalModel>(
          loaded.model.get(), [this, &loaded, is_use](inference::LocalModel*) { give_back(loaded, is_use); }),
      .file = loaded.file};
}

void ModelHost::Impl::give_back(LoadedModel& loaded, bool is_use) {
  const std::lock_guard lock(mutex_);
  --loaded.leases;
  if (is_use) {
    --loaded.running;
    loaded.of->last_used = clock_.now();
    loaded.of->last_used_unix_s = clock_.unix_seconds();
  }
  // Under the lock: once it is free the thread may destroy what was given back, and the host be closed.
  if (loaded.leases == 0) wake_.notify_one();
}

/// A file that is gone changes nothing: what is loaded goes on.
void ModelHost::Impl::look_at_file(HostedModel& model, const base::Result<FileIdentity>& found) {
  if (!found || model.on_disk == *found) return;
  const bool known = model.on_disk.has_value();
  model.on_disk = *found;
  if (model.failure && model.failure->file != *found) {
    model.failure.reset();
    model.failures_in_a_row = 0;
  }
  if (!known) return;
  model.replaced_unix_s = clock_.unix_seconds();
  model.info.reset();
  options_.on_warning(fmt::format("{}: its file {} was replaced{}", model.options.name, model.options.path,
                                  model.current ? ": what runs ends with the old one, the next request loads "
                                                  "the new one"
                                                : ""));
  if (model.current && model.current->file != *found) {
    retire(model);
    wake_.notify_one();
  }
}

base::Error ModelHost::Impl::refusal(const HostedModel& model) const {
  const LoadFailure& failure = *model.failure;
  const double wait_s = std::max(0.0, seconds(failure.retry_at - clock_.now()));
  Error out{
      Code::kUnavailable,
      fmt::format("The model '{}' can't be used: {}. The first request in {:.0f} s or later tries it again, "
                  "or at once when its file has changed.",
                  model.options.name, failure.error.message, std::ceil(wait_s)),
      "model"};
  out.retry_after_s = wait_s;
  return out;
}

std::optional<base::Result<ModelHost::Lease>> ModelHost::Impl::lend_without_waiting(HostedModel& model,
                                                                                    bool at_once) {
  if (stopping_) return shutting_down();
  if (model.waiting.empty() && model.current && !model.draining) return lease_of(*model.current, true);
  const bool pauses = model.failure && clock_.now() < model.failure->retry_at;
  if (pauses && !at_once && model.waiting.empty() && !model.loading && !model.current) return refusal(model);
  if (model.waiting.size() < static_cast<std::size_t>(std::max(1, model.options.queue_max))) return {};
  return Error{Code::kUnavailable,
               fmt::format("{} requests wait for '{}' to be loaded already: try again later",
                           model.waiting.size(), model.options.name),
               "model"};
}

void ModelHost::Impl::enqueue(HostedModel& model) {
  if (model.queued || model.loading) return;
  model.queued = true;
  queue_.push_back(&model);
  wake_.notify_one();
}

/// Its cancellation is watched before it is listed, so that nothing is missed: what comes before finds no
/// entry.
void ModelHost::Impl::wait(HostedModel& model, LendOptions options, Lent done) {
  const auto waiting = std::make_shared<Waiting>(Waiting{std::move(done), options.deadline});
  waiting->on_cancel = options.cancel.on_cancel([this, &model, raw = waiting.get()] { drop(model, raw); });
  std::optional<base::Result<Lease>> at_once;
  {
    const std::lock_guard lock(mutex_);
    at_once = lend_without_waiting(model, options.at_once);
    if (!at_once) {
      model.waiting.push_back(waiting);
      enqueue(model);
    }
  }
  if (at_once) return waiting->done(std::move(*at_once));
  if (options.cancel.cancelled()) drop(model, waiting.get());
}

void ModelHost::Impl::drop(HostedModel& model, const Waiting* waiting) {
  std::shared_ptr<Waiting> dropped;
  {
    const std::lock_guard lock(mutex_);
    const auto at = std::ranges::find(model.waiting, waiting, &std::shared_ptr<Waiting>::get);
    if (at == model.waiting.end()) return;
    dropped = std::move(*at);
    model.waiting.erase(at);
    wake_.notify_one();
  }
  dropped->done(Error{Code::kCancelled, "the caller left"});
}

void ModelHost::lend(const std::string& name, LendOptions options, Lent done) {
  HostedModel& model = impl_->model(name);
  const auto file = FileIdentity::of(model.options.path);
  std::optional<base::Result<Lease>> at_once;
  {
    const std::lock_guard lock(impl_->mutex_);
    impl_->look_at_file(model, file);
    at_once = impl_->lend_without_waiting(model, options.at_once);
  }
  if (at_once) return done(std::move(*at_once));
  impl_->wait(model, std::move(options), std::move(done));
}

base::Result<ModelHost::Lease> ModelHost::lend_now(const std::string& name) {
  auto lent = std::make_shared<std::promise<base::Result<Lease>>>();
  auto future = lent->get_future();
  lend(name, {}, [lent](base::Result<Lease> lease) { lent->set_value(std::move(lease)); });
  return future.get();
}

std::optional<ModelHost::Lease> ModelHost::loaded(const std::string& name) const {
  const std::lock_guard lock(impl_->mutex_);
  const HostedModel& model = impl_->model(name);
  if (!model.current) return {};
  return impl_->lease_of(*model.current, false);
}

// --- Unloading -------------------------------------------------------------------------------------------

void ModelHost::Impl::retire(HostedModel& model) {
  ++model.going;
  model.draining = false;
  retired_.push_back(std::move(model.current));
}

void ModelHost::unload(const std::string& name, std::function<void(base::Status)> done) {
  base::Status now;
  {
    const std::lock_guard lock(impl_->mutex_);
    HostedModel& model = impl_->model(name);
    const int running = model.current ? model.current->running : 0;
    if (running > 0 || model.loading || !model.waiting.empty()) {
      now =
          Error{Code::kConflict,
                fmt::format("The model '{}' is busy: {} requests run and {} wait for it. Unload it when they "
                            "have ended.",
                            name, running, model.waiting.size()),
                "model"};
    } else if (model.current && !impl_->stopping_) {
      model.current->on_gone.push_back(std::move(done));
      impl_->retire(model);
      impl_->wake_.notify_one();
      return;
    }
  }
  done(std::move(now));
}

// --- What there is ---------------------------------------------------------------------------------------

ModelState ModelHost::Impl::state_of(const HostedModel& model) const {
  if (model.loading) return ModelState::kLoading;
  if (!model.waiting.empty()) return ModelState::kWaiting;
  if (model.current) return model.draining ? ModelState::kUnloading : ModelState::kReady;
  if (model.going > 0) return ModelState::kUnloading;
  return model.failure ? ModelState::kFailed : ModelState::kUnloaded;
}

ModelStatus ModelHost::status(const std::string& name) {
  HostedModel& model = impl_->model(name);
  const auto file = FileIdentity::of(model.options.path);
  ModelStatus out;
  std::optional<Lease> lease;
  {
    const std::lock_guard lock(impl_->mutex_);
    impl_->look_at_file(model, file);
    out.state = impl_->state_of(model);
    out.progress = model.loading ? static_cast<double>(model.progress.load()) : 0;
    out.last_used_unix_s = model.last_used_unix_s;
    out.waiting = static_cast<std::int64_t>(model.waiting.size());
    out.replaced_unix_s = model.replaced_unix_s;
    out.loads = model.loads;
    out.unloads = model.unloads;
    out.load_failures = model.load_failures;
    out.load_seconds = model.load_seconds;
    out.header = model.header;
    out.info = model.info;
    for (const auto& going : impl_->retired_) {
      if (going->of == &model) out.bytes_reserved += going->bytes;
    }
    if (model.failure) {
      out.error = model.failure->error.message;
      out.retry_s = std::max(0.0, seconds(model.failure->retry_at - impl_->clock_.now()));
    }
    if (model.current) {
      out.bytes_reserved += model.current->bytes;
      out.running = model.current->running;
      lease = impl_->lease_of(*model.current, false);
    }
  }
  if (lease) {  // its own locks are taken without ours
    out.bytes = lease->model->info().file_bytes + lease->model->kv_stats().bytes_resident;
    out.calibration = lease->model->calibration();
  }
  return out;
}

inference::EngineStats ModelHost::totals(const std::string& name) const {
  inference::EngineStats out;
  std::optional<Lease> lease;
  {
    const std::lock_guard lock(impl_->mutex_);
    const HostedModel& model = impl_->model(name);
    out = model.past;
    if (model.current) lease = impl_->lease_of(*model.current, false);
  }
  if (lease) out += lease->model->stats();
  return out;
}

std::string ModelHost::Impl::waits_for(const HostedModel& model) const {
  const auto loading = [](const HostedModel& one) {
    return fmt::format("loading {}, {:.0f} %", one.options.name, std::floor(100 * one.progress.load()));
  };
  if (model.loading) return loading(model);
  if (model.waiting.empty()) return "";
  if (loading_ != nullptr)
    return fmt::format("{} is loaded next, {} first", model.options.name, loading(*loading_));
  return fmt::format("{} waits for memory that other models still use", model.options.name);
}

std::string ModelHost::doing(const std::string& name) const {
  const std::lock_guard lock(impl_->mutex_);
  return impl_->waits_for(impl_->model(name));
}

std::string ModelHost::file_version(const std::string& name) const {
  const auto file = FileIdentity::of(impl_->model(name).options.path);
  return file ? file->text() : "";
}

MemoryUse ModelHost::memory() const {
  const std::lock_guard lock(impl_->mutex_);
  return {.bytes_reserved = impl_->reserved_ + impl_->options_.bytes_elsewhere,
          .bytes_max = impl_->bytes_max_};
}

// --- The end ---------------------------------------------------------------------------------------------

void ModelHost::stop_lending() {
  Impl::Told told;
  {
    const std::lock_guard lock(impl_->mutex_);
    impl_->stopping_ = true;
    for (auto& [name, model] : impl_->models_) impl_->fail_all(*model, shutting_down(), told);
    impl_->wake_.notify_all();
  }
  Impl::tell(std::move(told));
}

/// The thread has ended then, so nobody else destroys models.
void ModelHost::close() {
  stop_lending();
  if (impl_->thread_.joinable()) impl_->thread_.join();
  Impl::Lock lock(impl_->mutex_);
  for (auto& [name, model] : impl_->models_) {
    if (model->current) impl_->retire(*model);
  }
  while (!impl_->retired_.empty()) {
    auto going = std::move(impl_->retired_.back());
    impl_->retired_.pop_back();
    impl_->destroy(std::move(going), lock);
  }
}

}  // namespace pmt::engine
