#include "knowledge_cache/fact_judge.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "knowledge_cache/own_call.h"
#include "llm/sinks.h"
#include "text/plain_words.h"

namespace pmt::knowledge_cache {
namespace {

constexpr std::size_t kVerdictsMax = 10'000;

struct Example {
  const char* statement;
  const char* question;
  const char* answer;
};
/// Things and relations of our own, as unlike each other as six can be; as often no as yes.
constexpr Example kExamples[] = {
    {"The opening time of Marlo Bakery is 7:30.", "From when can I buy bread at Marlo Bakery?", "yes"},
    {"The opening time of Marlo Bakery is 7:30.", "Who owns Marlo Bakery?", "no"},
    {"The owner of Marlo Bakery is Tom Reed.", "Whose shop is Marlo Bakery?", "yes"},
    {"The height of the Tirol chair is 92 cm.", "What do I pay for the Tirol chair?", "no"},
    {"The fabric of the Tirol chair is wool.", "What is the Tirol chair covered with?", "yes"},
    {"The rent of Suite 9 is 900 euros.", "How large is Suite 9?", "no"}};

std::string words_of(const FactJudge::Case& one) {
  return "Sentence: " + one.statement + "\nQuestion: " + one.question;
}

/// `out`: an own call, about nothing yet.
llm::Request asking(llm::Request out, const FactJudge::Case& one) {
  const auto say = [&out](const char* role, std::string content) {
    out.messages.push_back({.role = role, .content = std::move(content), .name = {}, .tool_call_id = {}});
  };
  say("system",
      "You decide whether a sentence contains the answer to a question. Reply with yes or no only.");
  for (const Example& example : kExamples) {
    say("user", words_of({example.statement, example.question}));
    say("assistant", example.answer);
  }
  say("user", words_of(one));
  out.thinking.on = false;
  out.logprobs = 20;
  return out;
}

float verdict_of(const llm::TokenLogprob& first) {
  double yes = 0, no = 0;
  for (const auto& [token, logprob] : first.top) {
    const std::string word = text::plain_text(token);
    if (word == " yes ") yes += std::exp(static_cast<double>(logprob));
    if (word == " no ") no += std::exp(static_cast<double>(logprob));
  }
  if (yes == 0) return FactJudge::kUnknown;
  constexpr double kLeast = 1e-9;  // of a word that isn't among the likeliest
  return static_cast<float>(std::log(yes) - std::log(std::max(no, kLeast)));
}

base::Digest key_of(const llm::Request& request, const FactJudge::Case& one) {
  return base::sha256(request.tenant + '\0' + one.statement + '\0' + one.question);
}

}  // namespace

struct FactJudge::Hearing {
  llm::Request call;  // of each case, but what it asks
  std::vector<Case> cases;
  base::CancelToken cancel;
  std::function<void(const Verdicts&)> done;
  Verdicts verdicts = {};
};

void FactJudge::ask(const llm::Request& request, std::vector<Case> cases, const base::CancelToken& cancel,
                    std::function<void(const Verdicts&)> done) {
  go_on(std::make_shared<Hearing>(Hearing{own_call(request), std::move(cases), cancel, std::move(done)}));
}

/// One after another: the first reads the examples, and more at a time are no sooner on a few cores.
void FactJudge::go_on(const std::shared_ptr<Hearing>& hearing) {
  while (hearing->verdicts.size() < hearing->cases.size()) {
    const Case& one = hearing->cases[hearing->verdicts.size()];
    const base::Digest key = key_of(hearing->call, one);
    {
      const std::lock_guard lock(mutex_);
      const auto known = known_.find(key);
      if (known != known_.end()) {
        hearing->verdicts.push_back(known->second);
        continue;
      }
    }
    if (hearing->cancel.cancelled()) {
      hearing->verdicts.push_back(kUnknown);
      continue;
    }
    const auto said = std::make_shared<float>(kUnknown);
    const auto on_event = [this, hearing, key, said](const llm::Event& event) {
      const auto* delta = std::get_if<llm::Delta>(&event);
      if (delta != nullptr && !delta->logprobs.empty() && *said == kUnknown)
        *said = verdict_of(delta->logprobs.front());
      if (!llm::is_terminal(event)) return;
      if (std::holds_alternative<llm::Done>(event)) {
        const std::lock_guard lock(mutex_);
        if (known_.size() >= kVerdictsMax) known_.clear();
        known_.emplace(key, *said);
      }
      hearing->verdicts.push_back(*said);
      go_on(hearing);
    };
    model_.start(asking(hearing->call, one), std::make_shared<llm::FunctionSink>(on_event), hearing->cancel);
    return;
  }
  hearing->done(hearing->verdicts);
}

}  // namespace pmt::knowledge_cache
