#include "api/observe/observed_sink.h"

#include <utility>

namespace pmt::api {
namespace {

class ObservedSink final : public llm::Sink {
 public:
  ObservedSink(std::shared_ptr<RequestRecord> record, std::shared_ptr<llm::Sink> inner,
               const base::Clock& clock, ObservedSinkOptions options)
      : record_(std::move(record)), inner_(std::move(inner)), clock_(clock), options_(options) {}

  void on_event(llm::Event&& event) override {
    CompletionFacts& facts = *record_->completion;
    if (const auto* started = std::get_if<llm::Started>(&event)) {
      facts.answered = started->model;
    } else if (const auto* delta = std::get_if<llm::Delta>(&event)) {
      note_text(facts, *delta);
    } else if (const auto* end = std::get_if<llm::ChoiceEnd>(&event)) {
      facts.finish_reasons.emplace_back(llm::to_string(end->reason));
    } else if (const auto* done = std::get_if<llm::Done>(&event)) {
      facts.usage = done->usage;
      facts.report = done->report;
      facts.completed = true;
    } else if (const auto* failed = std::get_if<llm::Failed>(&event)) {
      record_->error = failed->error.message;
    }
    inner_->on_event(std::move(event));
  }

 private:
  void note_text(CompletionFacts& facts, const llm::Delta& delta) const {
    const bool silent =
        delta.text.empty() && delta.reasoning.empty() && delta.calls.empty() && delta.more.empty();
    if (silent) return;
    facts.last_text = clock_.now();
    if (facts.first_text.count() == 0) facts.first_text = facts.last_text;
    constexpr std::size_t kKeptBytesMax = 4096;
    if (options_.keep_texts && facts.answer.size() < kKeptBytesMax) facts.answer += delta.text;
  }

  const std::shared_ptr<RequestRecord> record_;
  const std::shared_ptr<llm::Sink> inner_;
  const base::Clock& clock_;
  const ObservedSinkOptions options_;
};

}  // namespace

std::shared_ptr<llm::Sink> observe_completion(const llm::Request& request, bool streamed,
                                              std::shared_ptr<RequestRecord> record,
                                              std::shared_ptr<llm::Sink> inner, const base::Clock& clock,
                                              ObservedSinkOptions options) {
  CompletionFacts& facts = record->completion.emplace();
  facts.model = request.model;
  facts.operation = request.endpoint == llm::Endpoint::kChat ? "chat" : "text_completion";
  facts.streamed = streamed;
  facts.temperature = request.sampling.temperature;
  facts.max_tokens = request.max_tokens;
  facts.reads_cache =
      request.cache.mode == llm::CacheMode::kOn || request.cache.mode == llm::CacheMode::kReadOnly;
  if (options.keep_texts)
    facts.prompt = request.messages.empty() ? request.prompt : request.messages.back().content;
  return std::make_shared<ObservedSink>(std::move(record), std::move(inner), clock, options);
}

}  // namespace pmt::api
