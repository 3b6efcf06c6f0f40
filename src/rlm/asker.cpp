#include "rlm/asker.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>

namespace pmt::rlm {

llm::Message message(std::string role, std::string content) {
  return {.role = std::move(role),
          .content = std::move(content),
          .name = {},
          .tool_calls = {},
          .tool_call_id = {}};
}

/// One call under way.
class Asker::Waiter final : public llm::Sink {
 public:
  Waiter(Claim claim, AskOptions options) : claim_(claim), options_(std::move(options)) {}

  void on_event(llm::Event event) override {
    if (const auto* delta = std::get_if<llm::Delta>(&event)) {
      if (options_.on_text) options_.on_text(delta->text);
      const std::lock_guard lock(mutex_);
      text_ += delta->text;
    } else if (llm::is_terminal(event)) {
      const std::lock_guard lock(mutex_);
      end_ = std::move(event);
      ended_.notify_all();
    }
  }

  /// Waits for the end; when `seconds` pass first, cancels and goes on waiting for it.
  const llm::Event& wait(std::optional<double> seconds) {
    std::unique_lock lock(mutex_);
    const auto done = [this] { return end_.has_value(); };
    if (seconds && !ended_.wait_for(lock, std::chrono::duration<double>(*seconds), done)) {
      out_of_time_ = true;
      lock.unlock();
      cancel_.cancel();
      lock.lock();
    }
    ended_.wait(lock, done);
    return *end_;
  }

  // NOLINTBEGIN(readability-identifier-naming): the Asker's own, as if private
  const Claim claim_;
  const AskOptions options_;
  const base::CancelToken cancel_;
  std::unique_ptr<base::CancelCallback> with_the_tree_;
  std::optional<base::Error> refused_;
  const std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  bool out_of_time_ = false;
  std::string text_;
  // NOLINTEND(readability-identifier-naming)

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<llm::Event> end_;
};

namespace {

/// At most, for a reservation: exact with the model's tokenizer; a token has 2 bytes or more in common text.
Claim claim_of(const Model& model, const std::vector<llm::Message>& messages, int max_tokens) {
  llm::Usage usage{.prompt_tokens = 16, .completion_tokens = max_tokens};
  for (const llm::Message& m : messages) {
    usage.prompt_tokens += 8 + (model.tokenizer != nullptr ? model.tokenizer->count_tokens(m.content)
                                                           : static_cast<std::int64_t>(m.content.size() / 2));
  }
  return {.tokens = usage.prompt_tokens + usage.completion_tokens,
          .usd = model.price ? model.price(usage) : 0};
}

}  // namespace

std::shared_ptr<Asker::Waiter> Asker::begin(const Model& model, std::vector<llm::Message> messages,
                                            const AskOptions& options) {
  const Claim claim = claim_of(model, messages, options.max_tokens);
  auto waiter = std::make_shared<Waiter>(claim, options);
  if (cancel_.cancelled()) {
    waiter->refused_ = base::Error{base::Code::kCancelled, "cancelled"};
    return waiter;
  }
  if (const auto reserved = ledger_.reserve(claim); !reserved) {
    waiter->refused_ = reserved.error();
    return waiter;
  }
  llm::Request request = pattern_;
  request.model = model.name;
  request.endpoint = llm::Endpoint::kChat;
  request.messages = std::move(messages);
  request.sampling = {};
  request.sampling.temperature = 0;
  request.max_tokens = options.max_tokens;
  waiter->with_the_tree_ = cancel_.on_cancel([cancel = waiter->cancel_] { cancel.cancel(); });
  model.completer->start(std::move(request), waiter, waiter->cancel_);
  return waiter;
}

base::Result<Answer> Asker::finish(const Model& model, Waiter& waiter) {
  if (waiter.refused_) return *waiter.refused_;
  const llm::Event& end = waiter.wait(ledger_.seconds_left());
  waiter.with_the_tree_.reset();
  if (const auto* failed = std::get_if<llm::Failed>(&end)) {
    ledger_.settle(waiter.claim_, {.calls = 1});
    const std::lock_guard lock(mutex_);
    ++totals_.calls;
    ++totals_.failed;
    if (waiter.out_of_time_) return base::Error{base::Code::kDeadline, "the budget of seconds is spent"};
    return failed->error;
  }
  const auto& done = std::get<llm::Done>(end);
  const bool hit = done.report.cache && done.report.cache->tokens_saved > 0;
  const double usd = !hit && model.price ? model.price(done.usage) : 0;
  ledger_.settle(waiter.claim_, {.calls = 1,
                                 .prompt_tokens = hit ? 0 : done.usage.prompt_tokens,
                                 .completion_tokens = hit ? 0 : done.usage.completion_tokens,
                                 .usd = usd});
  add(model.name, done, usd);
  return Answer{
      .text = waiter.text_,
      .usage = done.usage,
      .usd = usd,
      .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - waiter.began_).count()};
}

void Asker::add(const std::string& model, const llm::Done& done, double usd) {
  const std::lock_guard lock(mutex_);
  const llm::Report& report = done.report;
  ++totals_.calls;
  if (report.cache && report.cache->tokens_saved > 0) ++totals_.cache_hits;
  if (report.kv) {
    totals_.kv_bytes += report.kv->bytes;
    totals_.kv_bytes_f16 += report.kv->bytes_f16;
    totals_.kv_tokens_kept += report.kv->tokens_kept;
    totals_.kv_tokens_total += report.kv->tokens_total;
    totals_.prefix_tokens_reused += report.kv->prefix_tokens_reused;
    if (report.kv->ratio_achieved > 1.01) ++totals_.compressed;
  }
  if (report.knowledge) add(*report.knowledge);
  if (report.speculation) {
    totals_.drafted += report.speculation->drafted;
    totals_.accepted += report.speculation->accepted;
  }
  if (report.timing) {
    totals_.prefill_ms += report.timing->prefill_ms;
    totals_.decode_ms += report.timing->decode_ms;
  }
  ModelUsage& usage = usage_[model];
  ++usage.calls;
  usage.prompt_tokens += done.usage.prompt_tokens;
  usage.completion_tokens += done.usage.completion_tokens;
  usage.usd += usd;
}

void Asker::add(const llm::KnowledgeReport& report) {
  const auto add_new = [](const std::vector<std::string>& names, std::vector<std::string>& to) {
    for (const std::string& name : names) {
      if (std::ranges::find(to, name) == to.end()) to.push_back(name);
    }
  };
  if (!totals_.knowledge) totals_.knowledge.emplace();
  add_new(report.domains, totals_.knowledge->domains);
  add_new(report.facts, totals_.knowledge->facts);
  totals_.knowledge->slots_read += report.slots_read;
}

base::Result<Answer> Asker::ask(const Model& model, std::vector<llm::Message> messages,
                                const AskOptions& options) {
  return finish(model, *begin(model, std::move(messages), options));
}

std::vector<base::Result<Answer>> Asker::ask_all(const Model& model,
                                                 const std::vector<std::vector<llm::Message>>& prompts,
                                                 const AskOptions& options, int parallel) {
  std::vector<base::Result<Answer>> answers;
  std::deque<std::shared_ptr<Waiter>> running;
  for (std::size_t next = 0; answers.size() < prompts.size();) {
    while (next < prompts.size() && static_cast<int>(running.size()) < std::max(1, parallel)) {
      running.push_back(begin(model, prompts[next++], options));
    }
    answers.push_back(finish(model, *running.front()));
    running.pop_front();
  }
  return answers;
}

CallTotals Asker::totals() const {
  const std::lock_guard lock(mutex_);
  return totals_;
}

std::map<std::string, ModelUsage> Asker::usage_by_model() const {
  const std::lock_guard lock(mutex_);
  return usage_;
}

}  // namespace pmt::rlm
