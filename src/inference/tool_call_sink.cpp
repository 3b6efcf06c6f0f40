#include "inference/tool_call_sink.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/json_text.h"

namespace pmt::inference {
namespace {

/// Reads one choice's text, piece by piece.
class AnswerReader {
 public:
  using Found = CallReader::Found;
  using Call = CallReader::Call;
  virtual ~AnswerReader() = default;
  virtual Found push(std::string_view text) = 0;
  virtual Found finish(bool cut) = 0;
  virtual const std::vector<Call>& calls() const = 0;
};

class TaggedReader final : public AnswerReader {
 public:
  explicit TaggedReader(const CallRules& rules) : reader_(rules) {}
  Found push(std::string_view text) override { return reader_.push(text); }
  Found finish(bool cut) override { return reader_.finish(cut); }
  const std::vector<Call>& calls() const override { return reader_.calls(); }

 private:
  CallReader reader_;
};

/// All of the text is read again when it has grown by a share of itself, so all readings together cost some tens of
/// the last one. What was told is never taken back.
class NativeAnswerReader final : public AnswerReader {
 public:
  NativeAnswerReader(const CallRules& rules, const model::NativeReader& reader)
      : rules_(rules), reader_(reader) {}

  Found push(std::string_view text) override {
    constexpr std::size_t kShare = 64;
    text_ += text;
    if (text_.size() < read_ + text_.size() / kShare) return {};
    return read(true);
  }

  Found finish(bool cut) override {
    Found found = read(cut);
    if (!cut && failed_) found = read(true);
    if (failed_ && told_text_.empty() && told_reasoning_.empty() && calls_.empty())
      add(found, rest({.thinking = rules_.thinking}).push(text_));
    if (rest_) add(found, rest_->finish(cut));
    return found;
  }

  const std::vector<Call>& calls() const override { return calls_; }

 private:
  Found read(bool partial) {
    read_ = text_.size();
    Found found;
    const auto answer = reader_.read(text_, partial);
    failed_ = !answer;
    if (failed_) return found;
    found.reasoning = grown(told_reasoning_, answer->reasoning);
    if (const std::string more = grown(told_text_, answer->text); !more.empty())
      add(found, rest({.thinking = false}).push(more));
    const std::size_t most =
        rules_.parallel ? answer->calls.size() : std::min<std::size_t>(answer->calls.size(), 1);
    for (std::size_t i = 0; i < most; ++i) tell(found, i, answer->calls[i]);
    return found;
  }

  struct Begins {
    bool thinking = false;
  };
  /// For what isn't in the notation. Of an answer that is, thinking was told apart already, also where the prompt
  /// has begun it.
  CallReader& rest(Begins begins) {
    if (rest_) return *rest_;
    CallRules rules = rules_;
    rules.thinking = begins.thinking;
    return rest_.emplace(std::move(rules));
  }

  void tell(Found& found, std::size_t i, const model::NativeCall& call) {
    if (call.name.empty() || i > native_.size()) return;
    const bool begins = i == native_.size();
    if (begins) {
      native_.push_back(calls_.size());
      calls_.push_back({call.name, {}});
    }
    const std::size_t at = native_[i];
    std::string more = grown(calls_[at].arguments, call.arguments);
    if (!begins && more.empty()) return;
    found.calls.push_back({.index = static_cast<int>(at),
                           .id = {},
                           .name = begins ? call.name : "",
                           .arguments = std::move(more)});
  }

  /// What `now` has beyond `told`, which becomes it.
  static std::string grown(std::string& told, const std::string& now) {
    if (now.size() <= told.size() || !now.starts_with(told)) return {};
    std::string more = now.substr(told.size());
    told = now;
    return more;
  }

  /// Calls in another dress come after those of the notation.
  void add(Found& found, Found more) {
    found.text += more.text;
    found.reasoning += more.reasoning;
    for (llm::CallPiece& piece : more.calls) {
      if (!piece.name.empty()) {
        strays_.push_back(calls_.size());
        calls_.push_back({piece.name, {}});
      }
      const std::size_t at = strays_.at(static_cast<std::size_t>(piece.index));
      calls_[at].arguments += piece.arguments;
      piece.index = static_cast<int>(at);
      found.calls.push_back(std::move(piece));
    }
  }

  const CallRules rules_;
  const model::NativeReader reader_;
  std::optional<CallReader> rest_;
  std::string text_, told_text_, told_reasoning_;
  std::vector<Call> calls_;
  std::vector<std::size_t> native_, strays_;  // where in calls_ those of the notation are, and the other ones
  std::size_t read_ = 0;
  bool failed_ = false;
};

using MakeReader = std::function<std::unique_ptr<AnswerReader>()>;

class ToolCallSink final : public llm::Sink {
 public:
  ToolCallSink(std::shared_ptr<llm::Sink> sink, std::string id, MakeReader make)
      : sink_(std::move(sink)), id_(std::move(id)), make_(std::move(make)) {}

  void on_event(llm::Event&& event) override {
    if (auto* delta = std::get_if<llm::Delta>(&event)) return on_delta(std::move(*delta));
    if (auto* end = std::get_if<llm::ChoiceEnd>(&event)) return on_end(std::move(*end));
    sink_->on_event(std::move(event));
  }

 private:
  using Logprobs = std::vector<llm::TokenLogprob>;
  struct Answer {
    std::unique_ptr<AnswerReader> reader;
    Logprobs logprobs = {};  // of text that isn't shown yet
  };

  Answer& answer(int choice) {
    const auto found = answers_.find(choice);
    return found != answers_.end() ? found->second : answers_.emplace(choice, Answer{make_()}).first->second;
  }

  void on_delta(llm::Delta delta) {
    Answer& answer = this->answer(delta.choice);
    std::move(delta.logprobs.begin(), delta.logprobs.end(), std::back_inserter(answer.logprobs));
    show(answer, delta.choice, answer.reader->push(delta.text));
  }

  void on_end(llm::ChoiceEnd end) {
    Answer& answer = this->answer(end.choice);
    auto rest = answer.reader->finish(end.reason == llm::FinishReason::kLength);
    if (!rest.empty() || !answer.logprobs.empty()) show(answer, end.choice, std::move(rest), true);
    const auto& calls = answer.reader->calls();
    for (std::size_t i = 0; i < calls.size(); ++i) {
      end.tool_calls.push_back(fmt::format(
          R"({{"id":"{}","type":"function","function":{{"name":{},"arguments":{}}}}})",
          call_id(end.choice, i), base::json_quoted(calls[i].name), base::json_quoted(calls[i].arguments)));
    }
    if (!calls.empty() && end.reason == llm::FinishReason::kStop) end.reason = llm::FinishReason::kToolCalls;
    sink_->on_event(std::move(end));
  }

  void show(Answer& answer, int choice, CallReader::Found found, bool last = false) {
    if (found.empty() && !last) return;
    const bool says =
        last || !found.text.empty() || !found.calls.empty();  // thoughts have no log-probabilities
    for (llm::CallPiece& piece : found.calls) {
      if (!piece.name.empty()) piece.id = call_id(choice, static_cast<std::size_t>(piece.index));
    }
    sink_->on_event(llm::Delta{.choice = choice,
                               .text = std::move(found.text),
                               .logprobs = says ? std::exchange(answer.logprobs, {}) : Logprobs(),
                               .reasoning = std::move(found.reasoning),
                               .calls = std::move(found.calls)});
  }

  std::string call_id(int choice, std::size_t index) const {
    return "call_" + base::sha256(fmt::format("{}/{}/{}", id_, choice, index)).hex().substr(0, 24);
  }

  const std::shared_ptr<llm::Sink> sink_;
  const std::string id_;
  const MakeReader make_;
  std::map<int, Answer> answers_;
};

}  // namespace

std::shared_ptr<llm::Sink> make_tool_call_sink(std::shared_ptr<llm::Sink> sink, std::string id,
                                               CallRules rules) {
  return std::make_shared<ToolCallSink>(std::move(sink), std::move(id), [rules = std::move(rules)] {
    return std::make_unique<TaggedReader>(rules);
  });
}

std::shared_ptr<llm::Sink> make_native_call_sink(std::shared_ptr<llm::Sink> sink, std::string id,
                                                 CallRules rules, model::NativeReader reader) {
  return std::make_shared<ToolCallSink>(std::move(sink), std::move(id),
                                        [rules = std::move(rules), reader = std::move(reader)] {
                                          return std::make_unique<NativeAnswerReader>(rules, reader);
                                        });
}

}  // namespace pmt::inference
