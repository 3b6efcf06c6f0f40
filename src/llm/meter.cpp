#include "llm/meter.h"

#include <utility>

namespace pmt::llm {
namespace {

class MeterSink final : public Sink {
 public:
  MeterSink(Meter& meter, const MeteredCompleter::About& about, const Request& request,
            std::shared_ptr<Sink> sink)
      : meter_(meter),
        about_(about),
        who_{.model = about.model, .tenant = request.tenant, .key = request.key},
        surface_(request.surface),
        sink_(std::move(sink)) {}

  void on_event(Event&& event) override {
    // Before the caller has it: what the caller asks next must be counted.
    if (const auto* done = std::get_if<Done>(&event)) {
      meter_.add(who_, done->usage,
                 {.upstream = about_.upstream,
                  .surface = surface_,
                  .cost = about_.cost ? about_.cost(done->usage) : Cost()});
    }
    sink_->on_event(std::move(event));
  }

 private:
  Meter& meter_;
  const MeteredCompleter::About& about_;
  const Meter::Who who_;
  const base::Surface surface_;
  const std::shared_ptr<Sink> sink_;
};

}  // namespace

Meter::Tally& Meter::Tally::operator+=(const Tally& other) {
  upstream = upstream || other.upstream;
  answers += other.answers;
  reported += other.reported;
  hits += other.hits;
  prompt_tokens += other.prompt_tokens;
  completion_tokens += other.completion_tokens;
  reasoning_tokens += other.reasoning_tokens;
  read += other.read;
  written += other.written;
  missed += other.missed;
  usd += other.usd;
  prompt_cache_saved_usd += other.prompt_cache_saved_usd;
  return *this;
}

void Meter::add(const Who& who, const Usage& usage, const Answer& answer) {
  Tally one{.upstream = answer.upstream,
            .answers = 1,
            .prompt_tokens = usage.prompt_tokens,
            .completion_tokens = usage.completion_tokens,
            .reasoning_tokens = usage.reasoning_tokens,
            .usd = answer.cost.usd,
            .prompt_cache_saved_usd = answer.cost.prompt_cache_saved_usd};
  if (usage.cached_prompt_tokens) {
    one.reported = 1;
    one.read = *usage.cached_prompt_tokens;
    one.written = usage.cache_written_tokens;
    one.missed = plain_prompt_tokens(usage);
    one.hits = one.read > 0 ? 1 : 0;
  }
  tallies_.change(who.view(), [&one](Tally& tally) { tally += one; });
  if (one.hits > 0 && options_.prompt_cache_usage != nullptr)
    options_.prompt_cache_usage->add(answer.surface, clock_.unix_seconds(),
                                     {.tokens = one.read, .who = who.view()});
  if (one.usd > 0 && options_.on_spent) options_.on_spent(who.key, one.usd);
}

void MeteredCompleter::start(Request&& request, std::shared_ptr<Sink> sink, base::CancelToken cancel) {
  auto metered = std::make_shared<MeterSink>(meter_, about_, request, std::move(sink));
  inner_.start(std::move(request), std::move(metered), std::move(cancel));
}

}  // namespace pmt::llm
