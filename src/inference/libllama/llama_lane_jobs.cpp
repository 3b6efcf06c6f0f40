// How jobs come into a lane and leave it; its steps are in llama_lane.cpp.
#include <iterator>
#include <utility>

#include "base/guard.h"
#include "inference/libllama/llama_lane.h"

namespace pmt::inference {
namespace {

/// The same request is to get the same words again, drawn or greedy, so every bit of its logits counts.
bool names_seed(const Job& job) {
  return job.sampling.seed.has_value();
}

}  // namespace

void LlamaLane::drop_unwanted() {
  for (LlamaJobs* jobs : {&running_, &waiting_}) {
    for (auto it = jobs->begin(); it != jobs->end();) {
      if (it->is_wanted()) {
        ++it;
        continue;
      }
      around_.reports.fail(*it->job, {base::Code::kCancelled, "the client left"});
      (jobs == &running_ ? around_.counters.running : around_.counters.waiting)--;
      it = jobs->erase(it);
    }
  }
}

void LlamaLane::end_late() {
  for (LlamaJobs* jobs : {&running_, &waiting_}) {
    for (auto it = jobs->begin(); it != jobs->end();) {
      Job& job = *it->job;
      const bool late = job.deadline && !it->has_ended() && around_.clock.now() >= *job.deadline;
      const bool has_words = job.first_token != base::Nanos(0) && jobs == &running_;
      if (late && has_words) cut_short(*it);
      if (!late || has_words) {
        ++it;
        continue;
      }
      around_.reports.fail(
          job, {base::Code::kDeadline, "permutation.budget.seconds were over before the first token",
                "permutation.budget.seconds"});
      (jobs == &running_ ? around_.counters.running : around_.counters.waiting)--;
      it = jobs->erase(it);
    }
  }
}

/// What was said is the answer.
void LlamaLane::cut_short(LlamaJob& late) {
  Job& job = *late.job;
  around_.reports.for_job(job, [&] {
    job.cut_short = true;
    for (LlamaChoice& choice : late.choices) {
      if (choice.generation.finished()) continue;
      if (auto delta = choice.generation.cut_short()) job.sink->on_event(std::move(*delta));
    }
  });
}

bool LlamaLane::has_room_for(const LlamaJob& next) {
  std::int64_t cells = next.choices.empty() ? static_cast<std::int64_t>(next.job->prompt.size()) + 1 : 0;
  for (const LlamaChoice& again : next.choices)
    cells += static_cast<std::int64_t>(again.pending().size()) + 1;
  for (const LlamaJob& job : running_) {
    for (const LlamaChoice& choice : job.choices) cells += static_cast<std::int64_t>(choice.pending().size());
  }
  const auto fits = [&] {
    return sequences_.numbers_free() >= next.job->choices && sequences_.cells_free() >= cells;
  };
  while (!fits() && prefixes_.give_up_oldest()) {
  }
  return fits();
}

void LlamaLane::admit() {
  while (!waiting_.empty()) {
    if (!has_room_for(waiting_.front()) && !running_.empty()) return;
    LlamaJobs taken;
    taken.splice(taken.end(), waiting_, waiting_.begin());
    --around_.counters.waiting;
    LlamaJob& next = taken.front();
    const base::Status begun =
        base::guarded({base::Thread::kScheduler, next.job->id}, [&] { return begin(next); });
    if (!begun) {
      around_.reports.fail(*next.job, begun.error());
      continue;
    }
    ++around_.counters.running;
    running_.splice(running_.end(), taken);
  }
}

/// One that gave up its cells has its choices already.
base::Status LlamaLane::begin(LlamaJob& begun) {
  Job& job = *begun.job;
  const bool again = !begun.choices.empty();
  for (int i = 0; !again && i < job.choices; ++i) {
    TRY_ASSIGN(Generation generation, make_choice(job, i, around_.vocab));
    begun.choices.push_back({std::move(generation), {}});
  }
  for (LlamaChoice& choice : begun.choices) {
    auto sequence = sequences_.open();
    if (!sequence) return base::Error{base::Code::kUnavailable, "no sequence is free: try again later"};
    choice.sequence = std::move(*sequence);
  }
  if (again) return {};
  job.admitted = around_.clock.now();
  job.prompt_shared = job.choices == 1;
  around_.reports.started(job);
  if (type() != CellType::kF16) job.kv.mode = name_of(type());
  job.kv.ratio_target = job.cells_ratio;
  job.kv.compression_off = around_.runs_elsewhere;
  job.kv.cells = name_of(type());
  reuse(begun);
  return {};
}

/// What was read of the prompt, by who still runs or who did. A request that names a seed reads all of it itself, and
/// where it is alone from the first cell on: libllama rounds by a batch's rows and by where the cells lie.
void LlamaLane::reuse(LlamaJob& begun) {
  Job& job = *begun.job;
  if (names_seed(job)) {
    while (running_.empty() && prefixes_.give_up_oldest()) {
    }
    return;
  }
  if (!prefixes_.on() || job.echo.scores()) return;  // the logits of all of its rows are wanted
  around_.counters.prefix_queried += job.prompt.size();
  const LlamaSequence* running = nullptr;
  int tokens = 0;
  for (const LlamaJob& other : running_) {
    if (other.job->prefix_scope != job.prefix_scope) continue;
    for (const LlamaChoice& choice : other.choices) {
      const int usable = prefixes_.usable(job.prompt, {&choice.sequence, choice.read()});
      if (usable <= tokens) continue;
      tokens = usable;
      running = &choice.sequence;
    }
  }
  LlamaSequence& into = begun.choices.front().sequence;
  if (const int kept = prefixes_.share(job.prompt, job.prefix_scope, tokens, into); kept > 0) {
    tokens = kept;
  } else if (running != nullptr) {
    into.share(*running, tokens);
  }
  if (tokens == 0) return;
  job.kv.prefix_tokens_reused = tokens;
  ++around_.counters.prefix_hits;
  around_.counters.prefix_tokens += static_cast<std::uint64_t>(tokens);
  if (around_.options.prefix_usage == nullptr) return;
  around_.options.prefix_usage->add(job.surface, around_.clock.unix_seconds(),
                                    {.tokens = tokens, .who = job.user.view()});
}

void LlamaLane::retire_finished() {
  for (auto it = running_.begin(); it != running_.end();) {
    Job& job = *it->job;
    if (!it->has_ended()) around_.reports.for_job(job, [&] { end_finished_choices(*it); });
    if (!it->has_ended() && !it->choices.empty()) {
      ++it;
      continue;
    }
    --around_.counters.running;  // before the last event: who has seen it finds the engine idle
    it->choices.clear();
    if (!it->has_ended()) around_.reports.for_job(job, [&] { around_.reports.done(job); });
    it = running_.erase(it);
  }
}

void LlamaLane::end_finished_choices(LlamaJob& ending) {
  Job& job = *ending.job;
  for (auto choice = ending.choices.begin(); choice != ending.choices.end();) {
    if (!choice->generation.finished()) {
      ++choice;
      continue;
    }
    add_choice(job, *choice);
    // What can't be kept for others is no fault of this answer.
    base::survives({base::Thread::kScheduler, job.id}, [&] {
      std::vector<std::int32_t> read(choice->read().begin(), choice->read().end());
      prefixes_.keep(std::move(read), job.prefix_scope, std::move(choice->sequence));
    });
    choice->sequence.close();
    JobReports::choice_ended(job, choice->generation);
    choice = ending.choices.erase(choice);
  }
}

/// The prompt's cells, which the choices share, count once.
void LlamaLane::add_choice(Job& job, const LlamaChoice& choice) const {
  const auto prompt = static_cast<std::int64_t>(job.prompt.size());
  const std::int64_t own = choice.sequence.tokens() - prompt;
  const std::int64_t cells = own + (job.kv.bytes_f16 > 0 ? 0 : prompt);
  job.usage.completion_tokens += choice.generation.generated();
  job.kv.tokens_total += own;
  job.kv.tokens_kept += own;
  job.kv.bytes += bytes_of(cells, context_->memory_bytes());
  job.kv.bytes_f16 += bytes_of(cells, around_.memory_bytes_f16);
}

/// Of a context that holds `all` bytes.
std::int64_t LlamaLane::bytes_of(std::int64_t tokens, std::int64_t all) const {
  return static_cast<std::int64_t>(static_cast<double>(tokens) * static_cast<double>(all) /
                                   context_->options().cells);
}

void LlamaLane::fail_running() {
  for (LlamaJob& each : running_) around_.reports.fail(*each.job, base::internal_error(each.job->id));
  around_.counters.running -= static_cast<std::int64_t>(running_.size());
  running_.clear();
}

void LlamaLane::fail_all(const base::Error& error) {
  for (LlamaJobs* jobs : {&running_, &waiting_}) {
    for (LlamaJob& each : *jobs) around_.reports.fail(*each.job, error);
    jobs->clear();
  }
}

}  // namespace pmt::inference
