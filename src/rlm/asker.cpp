#include "rlm/asker.h"

#include <algorithm>
#include <cctype>
#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "base/json.h"

namespace pmt::rlm {

llm::ResponseFormat grammar_form(std::string grammar) {
  llm::ResponseFormat form{.kind = llm::ResponseFormat::Kind::kGrammar, .schema = {}, .sent = {}};
  form.sent = nlohmann::json(grammar).dump();
  form.text = std::move(grammar);
  return form;
}

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

  void on_event(llm::Event&& event) override {
    if (const auto* delta = std::get_if<llm::Delta>(&event)) {
      const std::lock_guard lock(mutex_);
      overlong_ = overlong_ || text_.size() + delta->text.size() > text_bytes_max();
      if (!overlong_) text_ += delta->text;
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
  bool out_of_time_ = false, overlong_ = false;
  std::string text_;

  /// A model elsewhere may say more than it was asked for.
  std::size_t text_bytes_max() const {
    return (64 << 10) + static_cast<std::size_t>(std::max(0, options_.max_tokens)) * 256;
  }
  // NOLINTEND(readability-identifier-naming)

 private:
  std::mutex mutex_;
  std::condition_variable ended_;
  std::optional<llm::Event> end_;
};

namespace {

constexpr std::size_t kCountedPieceBytes = 64 << 10;

/// Where a piece that begins at `begin` ends: before a space between two words, if there is one in its second
/// half.
std::size_t piece_end(const std::string& text, std::size_t begin) {
  const std::size_t limit = begin + kCountedPieceBytes;
  if (limit >= text.size()) return text.size();
  const auto is_word = [&](std::size_t at) {
    return std::isalnum(static_cast<unsigned char>(text[at])) != 0;
  };
  for (std::size_t at = limit; at > begin + kCountedPieceBytes / 2; --at) {
    if (text[at] == ' ' && is_word(at - 1) && is_word(at + 1)) return at;
  }
  std::size_t at = limit;  // a character has four bytes at most
  while (at > limit - 4 && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) --at;
  return at;
}

std::int64_t bytes_of(const std::vector<llm::Message>& messages) {
  std::size_t bytes = 0;
  for (const llm::Message& m : messages) bytes += m.content.size();
  return static_cast<std::int64_t>(bytes);
}

}  // namespace

base::Result<std::int64_t> count_tokens(const llm::Tokenizer& tokenizer, const std::string& text,
                                        Watch& watch) {
  if (text.size() <= kCountedPieceBytes) return tokenizer.count_tokens(text);
  std::int64_t tokens = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    TRY(watch.look());
    const std::size_t end = piece_end(text, begin);
    tokens += tokenizer.count_tokens(text.substr(begin, end - begin));
    begin = end;
  }
  return tokens;
}

/// At most, for a reservation: exact with the model's tokenizer; a token has 2 bytes or more in common text.
base::Result<Claim> Asker::claim_of(const Model& model, const std::vector<llm::Message>& messages,
                                    int max_tokens) const {
  Watch watch(cancel_, &ledger_, nullptr);
  TRY(watch.look());
  llm::Usage usage{.prompt_tokens = 16, .completion_tokens = max_tokens};
  for (const llm::Message& m : messages) {
    auto tokens = static_cast<std::int64_t>(m.content.size() / 2);
    if (model.tokenizer != nullptr) {
      TRY_ASSIGN(tokens, count_tokens(*model.tokenizer, m.content, watch));
    }
    usage.prompt_tokens += 8 + tokens;
  }
  usage.cache_written_tokens = usage.prompt_tokens;  // the dearest that a prompt can be
  return Claim{.tokens = usage.prompt_tokens + usage.completion_tokens,
               .usd = model.price ? model.price(usage) : 0,
               .bytes = bytes_of(messages)};
}

std::shared_ptr<Asker::Waiter> Asker::begin(const Model& model, std::vector<llm::Message> messages,
                                            const AskOptions& options, const Claim& held) {
  const auto claim = claim_of(model, messages, options.max_tokens);
  auto waiter = std::make_shared<Waiter>(claim.value_or(Claim{}), options);
  base::Status reserved;
  if (!claim) {
    reserved = claim.error();
  } else {
    Claim more = *claim;
    more.calls -= held.calls;
    more.bytes -= held.bytes;
    reserved = ledger_.reserve(more);
  }
  if (!reserved) {
    waiter->refused_ = reserved.error();
    return waiter;
  }
  llm::Request request = pattern_;
  request.model = model.name;
  request.engine_call = true;
  request.endpoint = llm::Endpoint::kChat;
  request.messages = std::move(messages);
  request.sampling = {};
  request.sampling.temperature = 0;
  request.max_tokens = options.max_tokens;
  request.stop = options.stop;
  request.response_format = options.form;
  if (options.exact) {
    request.kv.ratio = 1;
    const std::lock_guard lock(mutex_);
    ++totals_.exact;
  }
  waiter->with_the_tree_ = cancel_.on_cancel([cancel = waiter->cancel_] { cancel.cancel(); });
  model.completer->start(std::move(request), waiter, waiter->cancel_);
  return waiter;
}

base::Result<Answer> Asker::finish(const Model& model, Waiter& waiter) {
  if (waiter.refused_) return *waiter.refused_;
  const llm::Event& end = waiter.wait(ledger_.seconds_left());
  waiter.with_the_tree_.reset();
  if (const auto* failed = std::get_if<llm::Failed>(&end)) {
    ledger_.settle(waiter.claim_, {.calls = 1, .bytes = waiter.claim_.bytes});
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
                                 .usd = usd,
                                 .bytes = waiter.claim_.bytes});
  add(model.name, done, usd);
  if (waiter.overlong_) {
    return base::Error{base::Code::kBadGateway,
                       fmt::format("{} said more than {} bytes, though it was asked for {} tokens at most",
                                   model.name, waiter.text_bytes_max(), waiter.options_.max_tokens)};
  }
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - waiter.began_).count();
  return Answer{.text = waiter.text_,
                .usage = done.usage,
                .usd = usd,
                .seconds = seconds,
                .began_s = std::max(0.0, ledger_.elapsed_s() - seconds),
                .facts = done.report.knowledge ? done.report.knowledge->facts : std::vector<std::string>()};
}

void Asker::add(const std::string& model, const llm::Done& done, double usd) {
  const std::lock_guard lock(mutex_);
  const llm::Report& report = done.report;
  ++totals_.calls;
  if (report.cache && report.cache->tokens_saved > 0) ++totals_.cache_hits;
  constexpr std::size_t kKeysMax = 1000;
  if (report.cache && !report.cache->key.empty() && totals_.cache_keys.size() < kKeysMax)
    totals_.cache_keys.push_back(report.cache->key);
  if (report.kv) {
    totals_.kv_bytes += report.kv->bytes;
    totals_.kv_bytes_f16 += report.kv->bytes_f16;
    totals_.kv_tokens_kept += report.kv->tokens_kept;
    totals_.kv_tokens_total += report.kv->tokens_total;
    totals_.prefix_tokens_reused += report.kv->prefix_tokens_reused;
    if (report.kv->ratio_achieved > 1.01) ++totals_.compressed;
  }
  if (report.knowledge) add(*report.knowledge);
  add_documents(base::at(report.engine, "documents"));
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
  totals_.knowledge->judged += report.judged;
}

void Asker::add_documents(const nlohmann::json& documents) {
  if (!documents.is_object()) return;
  nlohmann::json& all = totals_.documents;
  if (all.is_null()) {
    all = documents;
    return;
  }
  for (const auto& source : base::array_at(documents, "sources")) {
    auto& known = all["sources"];
    if (std::ranges::find(known, source) == known.end()) known.push_back(source);
  }
  if (base::flag_at(documents, "exact").value_or(false)) return;
  all["attached"] = base::text_at(documents, "attached");
  all["exact"] = false;
}

base::Result<Answer> Asker::ask(const Model& model, std::vector<llm::Message> messages,
                                const AskOptions& options) {
  return finish(model, *begin(model, std::move(messages), options, {.calls = 0}));
}

base::Result<std::vector<base::Result<Answer>>> Asker::ask_all(const Model& model, const Batch& batch,
                                                               const AskOptions& options, int parallel) {
  TRY(ledger_.check({.calls = static_cast<std::int64_t>(batch.count)}));  // before a million are looked at
  std::vector<std::int64_t> bytes;
  Claim all{.calls = static_cast<std::int64_t>(batch.count)};
  for (std::size_t i = 0; i < batch.count; ++i) {
    bytes.push_back(bytes_of(batch.prompt(i)));
    all.bytes += bytes.back();
  }
  TRY(ledger_.reserve(all));
  std::vector<base::Result<Answer>> answers;
  answers.reserve(batch.count);
  std::deque<std::shared_ptr<Waiter>> running;
  for (std::size_t next = 0; next < batch.count || !running.empty();) {
    const bool room = next < batch.count && static_cast<int>(running.size()) < std::max(1, parallel);
    auto begun = room ? begin(model, batch.prompt(next), options, {.bytes = bytes[next]}) : nullptr;
    if (begun && !begun->refused_) {
      running.push_back(std::move(begun));
      ++next;
    } else if (!running.empty()) {  // what doesn't fit into the budget beside these may fit after them
      answers.push_back(finish(model, *running.front()));
      running.pop_front();
    } else {  // and what doesn't then, nothing after it will
      for (; next < batch.count; ++next) {
        ledger_.settle({.bytes = bytes[next]}, {});
        answers.emplace_back(*begun->refused_);
      }
    }
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
