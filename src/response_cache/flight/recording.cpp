#include "response_cache/flight/recording.h"

#include <utility>

#include "base/check.h"

namespace pmt::response_cache {
namespace {

/// What stays true of an answer however often it is given.
llm::Report lasting_part(const llm::Report& first) {
  llm::Report report;
  report.knowledge = first.knowledge;
  report.engine = first.engine;
  if (report.engine.is_object()) report.engine.erase("trace");
  return report;
}

}  // namespace

void Recorder::add(const llm::Event& event) {
  if (const auto* delta = std::get_if<llm::Delta>(&event)) {
    add_delta(*delta);
  } else if (const auto* started = std::get_if<llm::Started>(&event)) {
    answer_.events.emplace_back(
        llm::Started{.model = started->model, .created_unix_s = started->created_unix_s, .cache = {}});
  } else if (const auto* done = std::get_if<llm::Done>(&event)) {
    answer_.events.emplace_back(llm::Done{done->usage, lasting_part(done->report), done->extra});
  } else {
    answer_.events.push_back(event);
  }
}

void Recorder::add_delta(const llm::Delta& delta) {
  const auto open = open_text_.find(delta.choice);
  if (delta.logprobs.empty() && open != open_text_.end()) {
    std::get<llm::Delta>(answer_.events[open->second]).text += delta.text;
    return;
  }
  if (delta.logprobs.empty()) {
    open_text_[delta.choice] = answer_.events.size();
  } else {
    open_text_.erase(delta.choice);
  }
  answer_.events.emplace_back(delta);
}

RecordedAnswer Recorder::take() {
  CHECK(!answer_.events.empty() && std::holds_alternative<llm::Done>(answer_.events.back()));
  for (auto& event : answer_.events) {
    if (auto* delta = std::get_if<llm::Delta>(&event)) delta->text.shrink_to_fit();
  }
  answer_.events.shrink_to_fit();
  open_text_.clear();
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
      sink.on_event(llm::Started{started->model, started->created_unix_s, cache});
    } else if (const auto* done = std::get_if<llm::Done>(&event)) {
      sink.on_event(llm::Done{done->usage, reused_report(done->report, cache), done->extra});
    } else {
      sink.on_event(event);
    }
  }
}

}  // namespace pmt::response_cache
