#include "api/completions/completion_sink.h"

#include <algorithm>
#include <utility>

#include "api/errors.h"
#include "api/json/render_parts.h"

namespace pmt::api {
namespace {

/// Clients and proxies give up on a stream that is silent for some ten seconds at the earliest.
constexpr double kSilenceS = 5;

/// What both kinds share: dispatch by kind of event, and the failure's answer.
class BaseSink : public CompletionSink {
 public:
  BaseSink(SinkOptions options, std::shared_ptr<net::Responder> responder)
      : responder_(std::move(responder)), options_(std::move(options)) {}

  void on_event(llm::Event&& event) final {
    const bool last = llm::is_terminal(event);
    if (auto* done = std::get_if<llm::Done>(&event)) tell_members(done->report);
    std::visit([this](auto&& e) { take(std::forward<decltype(e)>(e)); }, std::move(event));
    if (last) finished_.store(true, std::memory_order_release);
  }

 protected:
  virtual void take(llm::Started started) = 0;
  virtual void take(llm::Delta delta) = 0;
  virtual void take(llm::ChoiceEnd end) = 0;
  virtual void take(llm::Done done) = 0;
  virtual void take(llm::Failed failed) = 0;

  base::Error told(base::Error error) const {
    // Its status is HTTP's own; see kind_of.
    if (options_.only_if_cached && error.code == base::Code::kUnprocessable) error.field = kOnlyIfCachedField;
    return options_.names.own_words(std::move(error));
  }

  const std::shared_ptr<net::Responder> responder_;

 private:
  /// Those of the request that the answer names.
  void tell_members(llm::Report& report) const {
    std::vector<std::string> named = options_.ignored;
    named.insert(named.end(), report.ignored.begin(), report.ignored.end());
    report.ignored.clear();
    for (const std::string& name : named) {
      const std::string own = options_.names.own_of(name);
      if (std::find(report.ignored.begin(), report.ignored.end(), own) == report.ignored.end())
        report.ignored.push_back(own);
    }
    for (std::string& place : report.unfollowed) place = options_.names.own_of(place);
  }

  const SinkOptions options_;
};

class JsonSink final : public BaseSink {
 public:
  JsonSink(std::unique_ptr<AnswerWriter> writer, SinkOptions options,
           std::shared_ptr<net::Responder> responder)
      : BaseSink(std::move(options), std::move(responder)), answer_(std::move(writer)) {}

 private:
  void take(llm::Started started) override { answer_->add(std::move(started)); }
  void take(llm::Delta delta) override { answer_->add(std::move(delta)); }
  void take(llm::ChoiceEnd end) override { answer_->add(std::move(end)); }
  void take(llm::Done done) override {
    net::HttpResponse response{200, {{"content-type", "application/json"}}, answer_->finish(done)};
    add_cache_headers(response.headers, done.report.cache);
    responder_->send(std::move(response));
  }
  void take(llm::Failed failed) override {
    const base::Error error = told(std::move(failed.error));
    answer_->fail(error);
    responder_->send(error_response(error));
  }

  const std::unique_ptr<AnswerWriter> answer_;
};

class StreamSink final : public BaseSink {
 public:
  StreamSink(std::unique_ptr<StreamWriter> writer, SinkOptions options,
             std::shared_ptr<net::Responder> responder, std::function<std::string()> doing)
      : BaseSink(std::move(options), std::move(responder)), answer_(std::move(writer)) {
    responder_->keep_alive(head({}), {.after_s = kSilenceS, .doing = std::move(doing)});
  }

 private:
  static net::HttpResponse head(std::string chunk) {
    return {200,
            {{"content-type", "text/event-stream; charset=utf-8"}, {"cache-control", "no-cache"}},
            std::move(chunk)};
  }

  void take(llm::Started started) override {
    answer_->start(started);
    cache_ = std::move(started.cache);
  }
  void take(llm::Delta delta) override { push(answer_->chunk(delta)); }
  void take(llm::ChoiceEnd end) override { push(answer_->chunk(std::move(end))); }
  void take(llm::Done done) override {
    push(answer_->finish(done));
    responder_->finish_stream();
  }
  void take(llm::Failed failed) override {
    const base::Error error = told(std::move(failed.error));
    if (!streaming_) {
      answer_->fail(error);
      return responder_->send(error_response(error));
    }
    push(answer_->failure(error));
    responder_->finish_stream();
  }

  void push(std::string chunk) {
    if (chunk.empty()) return;
    if (streaming_) return responder_->write(std::move(chunk));
    streaming_ = true;
    net::HttpResponse first = head(std::move(chunk));
    add_cache_headers(first.headers, cache_);
    responder_->start_stream(std::move(first));
  }

  const std::unique_ptr<StreamWriter> answer_;
  std::optional<llm::CacheReport> cache_;
  bool streaming_ = false;
};

}  // namespace

std::shared_ptr<CompletionSink> make_json_sink(std::unique_ptr<AnswerWriter> writer, SinkOptions options,
                                               std::shared_ptr<net::Responder> responder) {
  return std::make_shared<JsonSink>(std::move(writer), std::move(options), std::move(responder));
}

std::shared_ptr<CompletionSink> make_stream_sink(std::unique_ptr<StreamWriter> writer, SinkOptions options,
                                                 std::shared_ptr<net::Responder> responder,
                                                 std::function<std::string()> doing) {
  return std::make_shared<StreamSink>(std::move(writer), std::move(options), std::move(responder),
                                      std::move(doing));
}

}  // namespace pmt::api
