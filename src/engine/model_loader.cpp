// What the thread of a ModelHost does: one load after the other, in the order in which they were asked for,
// and the unloading.
#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "base/guard.h"
#include "base/memory.h"
#include "engine/model_host_impl.h"
#include "engine/room_plan.h"
#include "engine/shipped_calibration.h"
#include "inference/memory_fit.h"

namespace pmt::engine {
namespace {

using base::Code;
using base::Error;

double mib(std::int64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20);
}

base::Nanos nanos(double seconds) {
  return std::chrono::duration_cast<base::Nanos>(std::chrono::duration<double>(seconds));
}

Error too_large(const HostedModel& model, std::int64_t bytes_max, std::int64_t bytes_elsewhere) {
  const std::int64_t least = bytes_least(model),
                     left = std::max<std::int64_t>(0, bytes_max - bytes_elsewhere);
  return {
      Code::kUnavailable,
      fmt::format("it needs {:.0f} MiB at least (its file and {:.0f} MiB of working memory), and models that "
                  "come on demand have {:.0f} MiB: {:.0f} MiB short. What would help: a larger [models] "
                  "memory_bytes, fewer models that are loaded at the start, or this one in fewer bits",
                  mib(least), mib(inference::kWorkingBytes), mib(left), mib(least - left))};
}

}  // namespace

void ModelHost::Impl::run() {
  Lock lock(mutex_);
  while (!stopping_) {
    end_late(lock);
    retire_idle();
    if (destroy_retired(lock) || serve_queue(lock)) continue;
    if (stopping_) return;
    const auto deadline = next_deadline();
    if (!deadline) {
      wake_.wait(lock);
    } else {
      wake_.wait_for(lock, std::max(*deadline - clock_.now(), base::Nanos(0)));
    }
  }
}

void ModelHost::Impl::tell(Told told) {
  for (auto& [waiting, result] : told) {
    base::survives({base::Thread::kLoader},
                   [&waiting = *waiting, &result = result] { waiting.done(std::move(result)); });
  }
}

std::optional<base::Nanos> ModelHost::Impl::next_deadline() const {
  std::optional<base::Nanos> next;
  const auto at = [&next](base::Nanos when) { next = next ? std::min(*next, when) : when; };
  for (const auto& [name, model] : models_) {
    if (is_idle(*model)) at(model->last_used + nanos(options_.idle_s));
    for (const auto& waiting : model->waiting) {
      if (waiting->deadline) at(*waiting->deadline);
    }
  }
  return next;
}

/// Those whose time is up before their model came.
void ModelHost::Impl::end_late(Lock& lock) {
  Told told;
  const base::Nanos now = clock_.now();
  for (auto& [name, model] : models_) {
    const auto late = [now](const auto& waiting) { return waiting->deadline && *waiting->deadline <= now; };
    for (const auto& waiting : model->waiting) {
      if (!late(waiting)) continue;
      told.emplace_back(
          waiting, Error{Code::kDeadline,
                         fmt::format("'{}' was not loaded before the time for this request was up", name),
                         "permutation.budget.seconds"});
    }
    std::erase_if(model->waiting, late);
  }
  if (told.empty()) return;
  lock.unlock();
  tell(std::move(told));
  lock.lock();
}

// --- Unloading -------------------------------------------------------------------------------------------

/// Whether it goes when its time is up.
bool ModelHost::Impl::is_idle(const HostedModel& model) const {
  return options_.idle_s > 0 && model.current && model.current->leases == 0 && model.waiting.empty();
}

void ModelHost::Impl::retire_idle() {
  const base::Nanos now = clock_.now();
  for (auto& [name, model] : models_) {
    if (!is_idle(*model) || now < model->last_used + nanos(options_.idle_s)) continue;
    options_.on_info(fmt::format("unloading {}: nobody has asked for it for {:g} s", name, options_.idle_s));
    retire(*model);
  }
}

/// One of them.
bool ModelHost::Impl::destroy_retired(Lock& lock) {
  const auto free = std::ranges::find(retired_, 0, [](const auto& loaded) { return loaded->leases; });
  if (free == retired_.end()) return false;
  std::unique_ptr<LoadedModel> loaded = std::move(*free);
  retired_.erase(free);
  destroy(std::move(loaded), lock);
  return true;
}

void ModelHost::Impl::destroy(std::unique_ptr<LoadedModel> loaded, Lock& lock) {
  lock.unlock();
  const inference::EngineStats stats = loaded->model->stats();
  loaded->model.reset();
  malloc_trim(0);  // the allocator would keep a part of it
  lock.lock();
  HostedModel& model = *loaded->of;
  model.past += stats;
  model.past.running = model.past.waiting = 0;
  --model.going;
  ++model.unloads;
  reserved_ -= loaded->bytes;
  options_.on_info(fmt::format("unloaded {}", model.options.name));
  const auto on_gone = std::exchange(loaded->on_gone, {});
  if (loaded->leases > 0) closed_.push_back(std::move(loaded));
  lock.unlock();
  for (const auto& gone : on_gone) base::survives({base::Thread::kLoader}, [&gone] { gone({}); });
  lock.lock();
}

// --- Loading ---------------------------------------------------------------------------------------------

/// Under the ceiling; below 0 where what is always loaded takes more.
std::int64_t ModelHost::Impl::bytes_free() const {
  return bytes_max_ - options_.bytes_elsewhere - reserved_;
}

/// What a model that is being loaded may take.
std::int64_t ModelHost::Impl::bytes_available(const HostedModel& model) const {
  const std::int64_t machine = base::memory_available();
  const std::lock_guard lock(mutex_);
  const std::int64_t free = bytes_free() + (loading_ == &model ? loading_bytes_ : 0);
  return machine < 0 ? std::max<std::int64_t>(0, free) : std::clamp<std::int64_t>(free, 0, machine);
}

bool ModelHost::Impl::never_fits(const HostedModel& model) const {
  return bytes_least(model) > bytes_max_ - options_.bytes_elsewhere;
}

bool ModelHost::Impl::serve_queue(Lock& lock) {
  for (auto& [name, model] : models_) model->draining = false;
  while (!queue_.empty()) {
    HostedModel& model = *queue_.front();
    const bool must_load = !model.waiting.empty() && !model.current;
    if (must_load && !never_fits(model)) {
      const Room room = make_room(model);
      if (room != Room::kFree) return room == Room::kBeingMade;
    }
    queue_.pop_front();
    model.queued = false;
    if (model.waiting.empty()) continue;  // all have left
    if (must_load) {
      load(model, lock);
    } else {
      lend_to_all(model, lock);
    }
    return true;
  }
  return false;
}

/// Who is only waited for gets no new requests, so that they don't keep it for ever.
ModelHost::Impl::Room ModelHost::Impl::make_room(const HostedModel& wanted) {
  std::int64_t room = bytes_free();
  const std::int64_t machine = base::memory_available();
  if (machine >= 0) room = std::min(room, machine);
  if (bytes_wanted(wanted) <= room) return Room::kFree;
  for (const auto& going : retired_) room += going->bytes;
  std::vector<HostedModel*> loaded;
  std::vector<Resident> residents;
  for (auto& [name, model] : models_) {
    if (!model->current) continue;
    loaded.push_back(model.get());
    residents.push_back({model->current->bytes, model->last_used, model->current->leases > 0});
  }
  const std::vector<std::size_t> going = plan_room(bytes_wanted(wanted), room, residents);
  Room out = going.empty() && retired_.empty() ? Room::kFree : Room::kAwaited;
  for (const std::size_t i : going) {
    if (residents[i].busy) {
      loaded[i]->draining = true;
      continue;
    }
    options_.on_info(
        fmt::format("unloading {}: {} needs its room", loaded[i]->options.name, wanted.options.name));
    retire(*loaded[i]);
    out = Room::kBeingMade;
  }
  return out;
}

base::Result<ModelHost::Impl::Opened> ModelHost::Impl::open(HostedModel& model) {
  Opened out;
  TRY_ASSIGN(out.file, FileIdentity::of(model.options.path));
  TRY_ASSIGN(out.header, read_model_header(model.options.path));
  inference::LocalModelOptions options = model.options;
  options.maps_file = false;  // it may be written over
  options.memory_available = [this, &model] { return bytes_available(model); };
  options.on_load_progress = [this, &model](float done) {
    model.progress = done;
    Lock lock(mutex_);
    end_late(lock);
    return !stopping_.load();
  };
  find_calibration(options);
  TRY_ASSIGN(out.model, inference::LocalModel::load(std::move(options), clock_));
  out.bytes = out.file.bytes + out.model->kv_stats().bytes_max + inference::kWorkingBytes;
  return out;
}

void ModelHost::Impl::load(HostedModel& model, Lock& lock) {
  model.loading = true;
  model.progress = 0;
  loading_ = &model;
  loading_bytes_ =
      never_fits(model) ? 0 : std::min(bytes_wanted(model), std::max(bytes_least(model), bytes_free()));
  reserved_ += loading_bytes_;
  options_.on_info(fmt::format("loading {} from {}", model.options.name, model.options.path));
  const base::Nanos begin = clock_.now();
  base::Result<Opened> opened = too_large(model, bytes_max_, options_.bytes_elsewhere);
  if (!never_fits(model)) {
    lock.unlock();
    const base::Status ran = base::guarded({base::Thread::kLoader}, [&] { opened = open(model); });
    lock.lock();
    if (!ran) opened = ran.error();
  }
  model.loading = false;
  loading_ = nullptr;
  reserved_ -= loading_bytes_;
  if (opened) {
    opened_well(model, std::move(*opened), base::ms_between(begin, clock_.now()));
    return lend_to_all(model, lock);
  }
  ++model.load_failures;
  failed(model, opened.error(), model.on_disk);
  Told told;
  fail_all(model, stopping_ ? opened.error() : refusal(model), told);
  lock.unlock();
  tell(std::move(told));
  lock.lock();
}

void ModelHost::Impl::opened_well(HostedModel& model, Opened opened, double load_ms) {
  const inference::ModelInfo& info = opened.model->info();
  options_.on_info(fmt::format("loaded {} in {:.0f} ms: {}, {:.1f} M parameters, {} tokens of context",
                               info.name, load_ms, info.architecture,
                               static_cast<double>(info.parameters) / 1e6, info.context_tokens));
  ++model.loads;
  model.load_seconds += load_ms / 1e3;
  model.failure.reset();
  model.failures_in_a_row = 0;
  model.header = std::move(opened.header);
  model.info = info;
  model.last_used = clock_.now();
  reserved_ += opened.bytes;
  model.current = std::make_unique<LoadedModel>();
  model.current->of = &model;
  model.current->model = std::move(opened.model);
  model.current->file = opened.file;
  model.current->bytes = opened.bytes;
}

void ModelHost::Impl::failed(HostedModel& model, base::Error why, std::optional<FileIdentity> file) {
  const double pause_s =
      std::min(options_.retry_s_max, options_.retry_s * std::exp2(model.failures_in_a_row));
  model.failures_in_a_row = std::min(model.failures_in_a_row + 1, 30);
  if (!stopping_) {
    options_.on_warning(fmt::format("{} can't be loaded: {}. A request tries it again after {:g} s",
                                    model.options.name, why.message, pause_s));
  }
  model.failure =
      LoadFailure{.error = std::move(why), .file = file, .retry_at = clock_.now() + nanos(pause_s)};
}

void ModelHost::Impl::fail_all(HostedModel& model, const base::Error& why, Told& told) {
  for (auto& waiting : model.waiting) told.emplace_back(std::move(waiting), why);
  model.waiting.clear();
}

void ModelHost::Impl::lend_to_all(HostedModel& model, Lock& lock) {
  Told told;
  for (auto& waiting : model.waiting) told.emplace_back(std::move(waiting), lease_of(*model.current, true));
  model.waiting.clear();
  lock.unlock();
  tell(std::move(told));
  lock.lock();
}

}  // namespace pmt::engine
