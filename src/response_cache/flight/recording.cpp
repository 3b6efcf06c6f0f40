#include "response_cache/flight/recording.h"

#include <utility>

#include "base/check.h"
#include "base/json_text.h"

namespace pmt::response_cache {
namespace {

/// What stays true of an answer however often it is given.
llm::Report lasting_part(const llm::Report& first) {
  llm::Report report;
  report.knowledge = first.knowledge;
  report.ignored = first.ignored;
  report.unfollowed = first.unfollowed;
  report.engine = first.engine;
  if (report.engine.is_object()) report.engine.erase("trace");
  return report;
}

constexpr unsigned kText = 1, kReasoning = 2, kMore = 4;

unsigned kinds_of(const llm::Delta& delta) {
  return (delta.text.empty() ? 0U : kText) | (delta.reasoning.empty() ? 0U : kReasoning) |
         (delta.more.empty() ? 0U : kMore);
}

/// Log-probabilities belong to their piece.
bool stands_alone(const llm::Delta& delta) {
  if (!delta.logprobs.empty()) return true;
  return !delta.choice_more.empty() &&
         !base::is_null(base::value_of(base::members_of(delta.choice_more), "logprobs"));
}

}  // namespace

void Recorder::add(const llm::Event& event) {
  if (const auto* delta = std::get_if<llm::Delta>(&event)) {
    add_delta(*delta);
  } else if (const auto* started = std::get_if<llm::Started>(&event)) {
    answer_.events.emplace_back(llm::Started{started->model, started->created_unix_s, {}, started->more});
  } else if (const auto* done = std::get_if<llm::Done>(&event)) {
    answer_.events.emplace_back(llm::Done{done->usage, lasting_part(done->report), done->extra});
  } else {
    answer_.events.push_back(event);
  }
}

void Recorder::add_delta(const llm::Delta& delta) {
  const unsigned brings = kinds_of(delta);
  const bool alone = stands_alone(delta);
  if (brings == 0 && delta.choice_more.empty() && !alone) return;  // pieces of calls
  auto open = open_.find(delta.choice);
  if (open != open_.end() && (alone || open->second.brings != brings)) {
    close(open->second);
    open_.erase(open);
    open = open_.end();
  }
  if (open != open_.end()) {
    auto& so_far = std::get<llm::Delta>(answer_.events[open->second.event]);
    so_far.text += delta.text;
    so_far.reasoning += delta.reasoning;
  } else {
    llm::Delta kept = delta;
    kept.calls.clear();
    if (!alone)
      open = open_.emplace(delta.choice, Open{.event = answer_.events.size(), .brings = brings}).first;
    answer_.events.emplace_back(std::move(kept));
    if (alone) return;
  }
  open->second.more.add(delta.more);
  open->second.choice_more.add(delta.choice_more);
}

void Recorder::close(const Open& open) {
  auto& delta = std::get<llm::Delta>(answer_.events[open.event]);
  delta.more = open.more.text();
  delta.choice_more = open.choice_more.text();
}

RecordedAnswer Recorder::take() {
  CHECK(!answer_.events.empty() && std::holds_alternative<llm::Done>(answer_.events.back()));
  for (const auto& [choice, open] : open_) close(open);
  open_.clear();
  for (auto& event : answer_.events) {
    if (auto* delta = std::get_if<llm::Delta>(&event)) delta->text.shrink_to_fit();
  }
  answer_.events.shrink_to_fit();
  return std::exchange(answer_, {});
}

llm::Report reused_report(const llm::Report& first, llm::CacheReport cache) {
  llm::Report report = lasting_part(first);
  report.cache = std::move(cache);
  return report;
}

llm::CacheReport cache_report(llm::CacheStatus status, std::string key, std::string why) {
  llm::CacheReport report;
  report.status = status;
  report.key = std::move(key);
  report.why = std::move(why);
  return report;
}

void replay(const RecordedAnswer& answer, const llm::CacheReport& cache, llm::Sink& sink) {
  for (const llm::Event& event : answer.events) {
    if (const auto* started = std::get_if<llm::Started>(&event)) {
      sink.on_event(llm::Started{started->model, started->created_unix_s, cache, started->more});
    } else if (const auto* done = std::get_if<llm::Done>(&event)) {
      sink.on_event(llm::Done{done->usage, reused_report(done->report, cache), done->extra});
    } else {
      sink.on_event(llm::Event(event));
    }
  }
}

}  // namespace pmt::response_cache
