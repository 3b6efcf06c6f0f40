#include "inference/libllama/llama_runtime.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/core_share.h"
#include "base/guard.h"
#include "inference/libllama/llama_lane.h"

namespace pmt::inference {
namespace {

constexpr base::Nanos kPublishEvery = std::chrono::milliseconds(100);
/// Bytes of a cell over those at f16: blocks of 32 with a scale.
constexpr double kShareQ8 = 34.0 / 64, kShareQ4 = 18.0 / 64;
/// What q8_0 is meant for: it makes them 1.9 times smaller.
constexpr double kRatioQ8Max = 2;

const base::Error kShuttingDown{base::Code::kUnavailable, "the server is shutting down"};

CellType type_for(double ratio, CellType by_default) {
  if (ratio <= 1) return by_default;
  const CellType wanted = ratio <= kRatioQ8Max ? CellType::kQ8_0 : CellType::kQ4_0;
  return std::max(wanted, by_default);
}

class LlamaRuntime final : public Runtime {
 public:
  LlamaRuntime(std::unique_ptr<LlamaModel> model, std::unique_ptr<LlamaContext> context,
               const model::Vocab& vocab, const LocalModelOptions& options, const base::Clock& clock)
      : model_(std::move(model)),
        vocab_(vocab),
        options_(options),
        clock_(clock),
        context_tokens_(static_cast<int>(model_->info().context_tokens)),
        cells_(context->options().cells),
        sequences_(context->options().sequences),
        reports_(options.name, clock, counters_),
        place_(base::CoreShare::of_process().join()) {
    add_lane(std::move(context));
    publish();
    thread_ = std::thread([this] { run(); });
  }
  ~LlamaRuntime() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
    base::CoreShare::of_process().leave(place_);
  }

  base::Status submit(std::unique_ptr<Job> job) override;
  int new_tokens_that_fit(int prompt_tokens, int choices, double kv_ratio) const override;
  EngineStats stats() const override { return counters_.stats(); }
  KvPoolStats kv_stats() const override {
    const std::lock_guard lock(mutex_);
    return kv_stats_;
  }
  CalibrationStatus calibration() const override { return {}; }

 private:
  base::Status check_size(const Job& job) const;
  void run();
  bool wait_for_work();
  void turn();
  void place(std::unique_ptr<Job> job);
  void add_lane(std::unique_ptr<LlamaContext> context);
  LlamaLane& lane_of(CellType type);
  std::unique_ptr<LlamaContext> smaller_context(CellType type);
  bool idle() const;
  void publish();

  const std::unique_ptr<LlamaModel> model_;
  const model::Vocab& vocab_;
  const LocalModelOptions& options_;
  const base::Clock& clock_;
  const int context_tokens_, cells_, sequences_;
  EngineCounters counters_;
  JobReports reports_;
  const int place_;  // among those that share the cores
  // The thread's own.
  std::map<CellType, LlamaLane> lanes_;  // the default's is always there
  std::map<CellType, bool> refused_;     // types that can't be had
  base::Nanos published_{0};

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  Jobs submitted_;         // under mutex_
  KvPoolStats kv_stats_;   // under mutex_
  bool stopping_ = false;  // under mutex_

  std::thread thread_;  // last: everything above is ready when it starts
};

base::Status LlamaRuntime::check_size(const Job& job) const {
  if (job.choices > sequences_) {
    return base::Error{
        base::Code::kTooLarge,
        fmt::format("'n' is {}, and this model runs through libllama, {} answers at once: ask for "
                    "fewer",
                    job.choices, sequences_),
        "n"};
  }
  const auto prompt = static_cast<std::int64_t>(job.prompt.size());
  const std::int64_t need = prompt + std::int64_t{job.choices} * (job.new_tokens_max + 1);
  if (need <= cells_) return {};
  return base::Error{
      base::Code::kTooLarge,
      fmt::format(
          "{} prompt tokens and up to {} new ones in {} choices need {} cells of keys and values, and "
          "libllama has {}: ask for fewer tokens or choices, or start the server with a larger kv_bytes",
          prompt, job.new_tokens_max, job.choices, need, cells_),
      "max_tokens"};
}

int LlamaRuntime::new_tokens_that_fit(int prompt_tokens, int choices, double /*kv_ratio*/) const {
  const int by_cells = (cells_ - prompt_tokens) / std::max(1, choices) - 1;
  return std::max(1, std::min(context_tokens_ - prompt_tokens, by_cells));
}

base::Status LlamaRuntime::submit(std::unique_ptr<Job> job) {
  TRY(check_size(*job));
  const std::lock_guard lock(mutex_);
  if (stopping_) return kShuttingDown;
  if (counters_.waiting >= options_.queue_max) {
    return base::Error{
        base::Code::kUnavailable,
        fmt::format("{} requests are waiting already: try again later", counters_.waiting.load())};
  }
  submitted_.push_back(std::move(job));
  ++counters_.waiting;
  ++counters_.requests;
  wake_.notify_one();
  return {};
}

bool LlamaRuntime::idle() const {
  return std::all_of(lanes_.begin(), lanes_.end(), [](const auto& each) { return each.second.idle(); });
}

void LlamaRuntime::run() {
  for (bool goes_on = true; goes_on;) {
    const bool ran = base::survives({base::Thread::kScheduler}, [&] {
      goes_on = wait_for_work();
      if (goes_on) turn();
    });
    if (!ran) base::pause_after_exception();
  }
  for (auto& [type, lane] : lanes_) lane.fail_all(kShuttingDown);
}

bool LlamaRuntime::wait_for_work() {
  Jobs arrived;
  bool stopping = false;
  {
    std::unique_lock lock(mutex_);
    if (idle()) wake_.wait(lock, [this] { return stopping_ || !submitted_.empty(); });
    arrived.swap(submitted_);
    stopping = stopping_;
  }
  for (auto& job : arrived) {
    if (stopping) {
      reports_.fail(*job, kShuttingDown);
    } else {
      place(std::move(job));
    }
  }
  return !stopping;
}

void LlamaRuntime::turn() {
  base::CoreShare& cores = base::CoreShare::of_process();
  const int threads = cores.begin(place_, options_.threads, clock_.now());
  const bool ran = base::survives({base::Thread::kScheduler}, [&] {
    for (auto& [type, lane] : lanes_) {
      if (!lane.idle()) lane.turn(threads);
    }
  });
  cores.end(place_, clock_.now());
  if (!ran) {
    for (auto& [type, lane] : lanes_) lane.fail_running();
    base::pause_after_exception();
  }
  if (idle() || clock_.now() - published_ > kPublishEvery) publish();
}

void LlamaRuntime::place(std::unique_ptr<Job> job) {
  LlamaLane* lane = &lanes_.at(options_.cell_type);
  base::survives({base::Thread::kScheduler, job->id},
                 [&] { lane = &lane_of(type_for(job->cells_ratio, options_.cell_type)); });
  lane->enqueue(std::move(job));
}

void LlamaRuntime::add_lane(std::unique_ptr<LlamaContext> context) {
  const CellType type = context->options().type;
  lanes_.try_emplace(type,
                     LlamaLane::Around{.vocab = vocab_,
                                       .options = options_,
                                       .clock = clock_,
                                       .reports = reports_,
                                       .counters = counters_,
                                       .runs_elsewhere = model_->info().runs_elsewhere,
                                       .memory_bytes_f16 = model_->memory_bytes_f16(),
                                       .states = model_->has_states(),
                                       .window = llama_model_n_swa(model_->raw())},
                     std::move(context));
}

/// The default's where this one can't be had: that was told once.
LlamaLane& LlamaRuntime::lane_of(CellType type) {
  if (const auto found = lanes_.find(type); found != lanes_.end()) return found->second;
  if (!refused_[type]) {
    if (auto context = smaller_context(type)) {
      add_lane(std::move(context));
      return lanes_.at(type);
    }
    refused_[type] = true;
  }
  return lanes_.at(options_.cell_type);
}

std::unique_ptr<LlamaContext> LlamaRuntime::smaller_context(CellType type) {
  const double share = type == CellType::kQ8_0 ? kShareQ8 : kShareQ4;
  const auto bytes = static_cast<std::int64_t>(share * static_cast<double>(model_->memory_bytes_f16()));
  const std::int64_t available = options_.memory_available();
  if (available >= 0 && bytes > available) {
    options_.on_warning(
        fmt::format("{}: keys and values as {} need {} MiB more, and {} MiB are available: "
                    "requests get them as {}",
                    options_.name, name_of(type), bytes >> 20, available >> 20, name_of(options_.cell_type)));
    return nullptr;
  }
  LlamaContextOptions of_type = model_->context();
  of_type.type = type;
  auto made = LlamaContext::create(model_->raw(), of_type);
  if (made) return std::move(*made);
  options_.on_warning(fmt::format("{}: {}; requests get them as {}", options_.name, made.error().message,
                                  name_of(options_.cell_type)));
  return nullptr;
}

void LlamaRuntime::publish() {
  KvPoolStats stats;
  for (const auto& [type, lane] : lanes_) lane.add_to(stats);
  published_ = clock_.now();
  const std::lock_guard lock(mutex_);
  kv_stats_ = std::move(stats);
}

}  // namespace

std::unique_ptr<Runtime> make_llama_runtime(LoadedLlama loaded, const model::Vocab& vocab,
                                            const LocalModelOptions& options, const base::Clock& clock) {
  return std::make_unique<LlamaRuntime>(std::move(loaded.model), std::move(loaded.context), vocab, options,
                                        clock);
}

}  // namespace pmt::inference
