#include "api/completions/prompt_list.h"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "api/json/json_writer.h"
#include "base/json.h"

namespace pmt::api {
namespace {

class PromptList : public std::enable_shared_from_this<PromptList> {
 public:
  PromptList(llm::Completer& completer, llm::Request request, std::vector<Prompt> prompts,
             std::shared_ptr<llm::Sink> sink, base::CancelToken cancel)
      : completer_(completer),
        request_(of_each(std::move(request))),
        prompts_(std::move(prompts)),
        cancel_(std::move(cancel)),
        sink_(std::move(sink)),
        done_(prompts_.size()) {}

  /// Begins as many as may be under way. One that is answered at once comes back here while this goes on.
  void go_on() {
    {
      const std::lock_guard lock(mutex_);
      if (std::exchange(beginning_, true)) return;
    }
    while (const auto index = next()) begin(*index);
  }

  void take(std::size_t index, llm::Event event) {
    const bool failed = std::holds_alternative<llm::Failed>(event);
    const bool terminal = llm::is_terminal(event);
    {
      const std::lock_guard lock(mutex_);
      if (terminal) --running_;
      if (sink_ != nullptr) std::visit([&](auto& e) { forward(index, std::move(e)); }, event);
    }
    if (failed) cancel_.cancel();  // the others: whoever they run with may call back here
    if (terminal) go_on();
  }

 private:
  /// What the caller wrote has another prompt.
  static llm::Request of_each(llm::Request request) {
    request.sent.reset();
    return request;
  }

  class PartSink final : public llm::Sink {
   public:
    PartSink(std::shared_ptr<PromptList> list, std::size_t index) : list_(std::move(list)), index_(index) {}
    void on_event(llm::Event&& event) override { list_->take(index_, std::move(event)); }

   private:
    const std::shared_ptr<PromptList> list_;
    const std::size_t index_;
  };

  std::optional<std::size_t> next() {
    const std::lock_guard lock(mutex_);
    const bool ended = sink_ == nullptr || begun_ == prompts_.size();
    if (ended || running_ == kPromptsAtOnce) {
      beginning_ = false;
      return std::nullopt;
    }
    ++running_;
    return begun_++;
  }

  void begin(std::size_t index) {
    llm::Request request = request_;
    request.prompt = std::move(prompts_[index].text);
    request.prompt_tokens = std::move(prompts_[index].tokens);
    completer_.start(std::move(request), std::make_shared<PartSink>(shared_from_this(), index), cancel_);
  }

  // All below: under mutex_.

  int choice_of(std::size_t index, int choice) const { return static_cast<int>(index) * request_.n + choice; }
  void forward(std::size_t, llm::Started started) {
    if (!std::exchange(started_, true)) sink_->on_event(std::move(started));
  }
  void forward(std::size_t index, llm::Delta delta) {
    delta.choice = choice_of(index, delta.choice);
    sink_->on_event(std::move(delta));
  }
  void forward(std::size_t index, llm::ChoiceEnd end) {
    end.choice = choice_of(index, end.choice);
    sink_->on_event(std::move(end));
  }
  void forward(std::size_t index, llm::Done done) {
    done_[index] = std::move(done);
    if (++ended_ == prompts_.size()) std::exchange(sink_, nullptr)->on_event(merged(std::move(done_)));
  }
  void forward(std::size_t index, llm::Failed failed) {
    base::Error& error = failed.error;
    const std::string own = fmt::format("prompt[{}]", index);
    const bool named = error.field == "prompt";
    if (named) error.field = own;
    error.message = named && error.message.starts_with("'prompt'")
                        ? fmt::format("'{}'{}", own, error.message.substr(8))
                        : fmt::format("{}: {}", own, error.message);
    std::exchange(sink_, nullptr)->on_event(std::move(failed));
  }

  llm::Completer& completer_;
  const llm::Request request_;
  std::vector<Prompt> prompts_;  // each until it is begun
  const base::CancelToken cancel_;

  std::mutex mutex_;
  std::shared_ptr<llm::Sink> sink_;  // null after the terminal event
  bool started_ = false;
  bool beginning_ = false;  // somebody is in go_on
  std::size_t begun_ = 0, running_ = 0, ended_ = 0;
  std::vector<llm::Done> done_;
};

/// Counts in objects of counts.
void add_counts(nlohmann::json& sum, const nlohmann::json& more) {
  if (sum.is_null()) {
    sum = more;
  } else if (sum.is_number_integer() && more.is_number_integer()) {
    sum = sum.get<std::int64_t>() + more.get<std::int64_t>();
  } else if (sum.is_object() && more.is_object()) {
    for (const auto& [name, value] : more.items()) add_counts(sum[name], value);
  }
}

/// The same of members as text.
llm::MembersText summed(const llm::MembersText& one, const llm::MembersText& other) {
  if (one.empty() || other.empty()) return one + other;
  auto sum = base::parse_json("{" + one + "}");
  const auto more = base::parse_json("{" + other + "}");
  if (!sum || !more) return one;
  add_counts(*sum, *more);
  const std::string text = to_text(*sum);
  return text.substr(1, text.size() - 2);
}

void add(llm::CacheReport& sum, const llm::CacheReport& more) {
  if (sum.status != more.status) sum.status = llm::CacheStatus::kMiss;
  sum.key.clear();  // each has its own
  sum.similarity.reset();
  sum.age_s = std::max(sum.age_s, more.age_s);
  sum.tokens_saved += more.tokens_saved;
  sum.usd_saved += more.usd_saved;
  sum.seconds_saved += more.seconds_saved;
}

void add(llm::KvReport& sum, const llm::KvReport& more) {
  sum.bytes += more.bytes;
  sum.bytes_f16 += more.bytes_f16;
  sum.tokens_kept += more.tokens_kept;
  sum.tokens_total += more.tokens_total;
  sum.prefix_tokens_reused += more.prefix_tokens_reused;
  if (sum.prefix_source.empty() || more.prefix_source == "disk") sum.prefix_source = more.prefix_source;
  sum.prefix_key.clear();                          // each has its own
  if (sum.cells != more.cells) sum.cells.clear();  // they differ: there is no one word
  if (sum.scores.empty() || more.scores == "uncalibrated") sum.scores = more.scores;  // the worse of them
  if (sum.bytes > 0) sum.ratio_achieved = static_cast<double>(sum.bytes_f16) / static_cast<double>(sum.bytes);
}

void add(llm::SpeculationReport& sum, const llm::SpeculationReport& more) {
  sum.drafted += more.drafted;
  sum.accepted += more.accepted;
  sum.drafted_by_model += more.drafted_by_model;
  sum.accepted_by_model += more.accepted_by_model;
}

void add_new(std::vector<std::string>& all, const std::vector<std::string>& more) {
  for (const std::string& one : more) {
    if (std::find(all.begin(), all.end(), one) == all.end()) all.push_back(one);
  }
}

void add(llm::KnowledgeReport& sum, const llm::KnowledgeReport& more) {
  add_new(sum.domains, more.domains);
  add_new(sum.facts, more.facts);
  sum.slots_read += more.slots_read;
  sum.judged += more.judged;
}

/// They run side by side.
void add(llm::Timing& longest, const llm::Timing& other) {
  longest.queue_ms = std::max(longest.queue_ms, other.queue_ms);
  longest.prefill_ms = std::max(longest.prefill_ms, other.prefill_ms);
  longest.decode_ms = std::max(longest.decode_ms, other.decode_ms);
}

template <class T>
void add_if_any(std::optional<T>& sum, const std::optional<T>& more) {
  if (sum && more) {
    add(*sum, *more);
  } else if (more) {
    sum = more;
  }
}

/// What each prompt's answer says of its own; null where none says anything.
nlohmann::json listed(const std::vector<llm::Done>& parts, nlohmann::json llm::Report::*member) {
  nlohmann::json all = nlohmann::json::array();
  for (const llm::Done& part : parts) all.push_back(part.report.*member);
  const bool none = std::all_of(all.begin(), all.end(), [](const auto& one) { return one.is_null(); });
  return none ? nlohmann::json() : nlohmann::json{{"prompts", std::move(all)}};
}

}  // namespace

llm::Done merged(std::vector<llm::Done> parts) {
  nlohmann::json engine = listed(parts, &llm::Report::engine);
  nlohmann::json upstream = listed(parts, &llm::Report::upstream);
  llm::Done all = std::move(parts.front());
  all.report.engine = std::move(engine);
  all.report.upstream = std::move(upstream);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    llm::Done& part = parts[i];
    llm::add(all.usage, part.usage);
    if (part.usage.usd) all.usage.usd = all.usage.usd.value_or(0) + *part.usage.usd;
    all.usage.total_tokens.reset();
    all.usage.details = summed(all.usage.details, part.usage.details);
    add_if_any(all.report.cache, part.report.cache);
    add_if_any(all.report.kv, part.report.kv);
    add_if_any(all.report.speculation, part.report.speculation);
    add_if_any(all.report.knowledge, part.report.knowledge);
    add_if_any(all.report.timing, part.report.timing);
    add_new(all.report.ignored, part.report.ignored);
    add_new(all.report.unfollowed, part.report.unfollowed);
    std::move(part.report.calls.begin(), part.report.calls.end(), std::back_inserter(all.report.calls));
    all.transient = all.transient || part.transient;
  }
  return all;
}

void complete_each(llm::Completer& completer, llm::Request request, std::vector<Prompt> prompts,
                   std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) {
  std::make_shared<PromptList>(completer, std::move(request), std::move(prompts), std::move(sink),
                               std::move(cancel))
      ->go_on();
}

}  // namespace pmt::api
