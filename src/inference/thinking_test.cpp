// A whole local model that thinks: of random weights, so what it writes means nothing, but thoughts begin where the
// template opens them, end where their budget does, and what must be written is written (a form, a taught answer).
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "inference/local_model.h"
#include "llm/sinks.h"
#include "model/testing/tiny_model.h"

namespace pmt::inference {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

/// Opens the thought itself, and says to whom it listens.
constexpr char kBegun[] =
    "{%- for m in messages %}[{{ m.role }}]{% if m.reasoning_content %}<think>{{ m.reasoning_content }}"
    "</think>{% endif %}{{ m.content }}{% endfor %}{% if enable_thinking is defined and not enable_thinking %}/off{% endif %}"
    "{% if reasoning_effort %}/{{ reasoning_effort }}{% endif %}{% if mood %}/{{ mood }}{% endif %}"
    "{% if add_generation_prompt %}[assistant]<think>\n{% endif %}";
/// Leaves it to the model.
constexpr char kFree[] =
    "{%- for m in messages %}[{{ m.role }}]{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>"
    "{% endif %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";
constexpr char kChannels[] =
    "{%- for m in messages %}{% if m.role == 'assistant' %}"
    "{% if m.thinking %}<|start|>assistant<|channel|>analysis<|message|>{{ m.thinking }}<|end|>{% endif %}"
    "<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>"
    "{%- else %}<|start|>{{ m.role }}<|message|>{{ m.content }}<|end|>{% endif %}{% endfor %}"
    "{%- if add_generation_prompt %}<|start|>assistant{% endif %}";

/// Tokens of the tiny model are bytes after these; a space is none of them.
constexpr int kBytes = 3;

struct Answer {
  std::string text, reasoning;
  std::vector<llm::TokenLogprob> logprobs;
  llm::FinishReason reason = llm::FinishReason::kStop;
  llm::Usage usage;
  std::string error;
};

class ThinkingTest : public ::testing::Test {
 protected:
  void open(const char* source) {
    LocalModelOptions options;
    options.name = "tiny";
    options.path = file_.path();
    options.chat_template = source;
    options.threads = 1;
    options.kv_bytes_max = std::size_t{8} << 20;
    auto model = LocalModel::load(options, clock_);
    ASSERT_TRUE(model) << model.error().message;
    model_ = std::move(*model);
    EXPECT_TRUE(model_->info().thinks);
  }

  static llm::Request asked(int max_tokens = 60) {
    llm::Request request;
    request.id = "r";
    request.messages = {{.role = "user", .content = "hi", .name = {}, .tool_call_id = {}}};
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    return request;
  }
  /// The answer is this, whatever the model thinks.
  static llm::Request asked_for(const std::string& text) {
    llm::Request request = asked();
    request.response_format = {.kind = llm::ResponseFormat::Kind::kGrammar, .schema = {}, .sent = {}};
    request.response_format.text = "root ::= \"" + text + "\"";
    request.response_format.field = "grammar";
    return request;
  }
  static llm::Recall taught(const std::string& answer) {
    return {.answer = answer, .ends = true, .statement = {}, .needle = {}, .closing = {}};
  }
  /// It writes this byte as long as nothing else is forced.
  static void always(char byte, llm::Request& request) {
    request.sampling.logit_bias[kBytes + static_cast<unsigned char>(byte)] = 100;
  }

  std::vector<llm::Event> events_of(llm::Request request) {
    auto sink = std::make_shared<llm::CollectingSink>();
    model_->start(std::move(request), sink, {});
    return sink->wait();
  }
  Answer answer(llm::Request request) {
    Answer out;
    for (const llm::Event& event : events_of(std::move(request))) {
      if (const auto* delta = std::get_if<llm::Delta>(&event)) {
        out.text += delta->text;
        out.reasoning += delta->reasoning;
        out.logprobs.insert(out.logprobs.end(), delta->logprobs.begin(), delta->logprobs.end());
      } else if (const auto* end = std::get_if<llm::ChoiceEnd>(&event)) {
        out.reason = end->reason;
      } else if (const auto* done = std::get_if<llm::Done>(&event)) {
        out.usage = done->usage;
      } else if (const auto* failed = std::get_if<llm::Failed>(&event)) {
        out.error = failed->error.message;
      }
    }
    return out;
  }
  std::string prompt_of(const llm::Request& request) {
    const auto tokens = model_->prompt_of(request);
    EXPECT_TRUE(tokens) << tokens.error().message;
    std::string out;
    for (const auto token : tokens.value_or(std::vector<std::int32_t>())) out += *model_->piece_of(token);
    return out;
  }

  const model::testing::TinyModel file_{{.context_tokens = 512, .tokenizer = true}};
  const base::SystemClock clock_;
  std::unique_ptr<LocalModel> model_;
};

TEST_F(ThinkingTest, TheAnswerBeginsWhereTheBudgetEnds) {
  open(kBegun);
  llm::Request request = asked_for("yes");
  always('a', request);
  request.thinking.budget_tokens = 5;
  request.logprobs = 0;
  const Answer got = answer(request);
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.reasoning, "aaaaa");
  EXPECT_EQ(got.text, "yes");
  EXPECT_EQ(got.logprobs.size(), 3U) << "thoughts are no part of how sure it is";
  EXPECT_GE(got.usage.reasoning_tokens, 5 + 8) << "with the tag";
  EXPECT_EQ(got.usage.completion_tokens, got.usage.reasoning_tokens + 4) << "yes and its end";
}

TEST_F(ThinkingTest, OffIsNoThoughtAndTheTemplateIsTold) {
  open(kBegun);
  EXPECT_THAT(prompt_of(asked()), Not(HasSubstr("/off")));
  llm::Request request = asked_for("yes");
  always('a', request);
  request.thinking.on = false;
  EXPECT_THAT(prompt_of(request), HasSubstr("/off[assistant]<think>"));
  const Answer off = answer(request);
  EXPECT_EQ(off.reasoning, "");
  EXPECT_EQ(off.text, "yes");
  request.thinking = {.budget_tokens = 0};
  EXPECT_THAT(prompt_of(request), HasSubstr("/off"));
  EXPECT_EQ(answer(request).text, "yes");
}

TEST_F(ThinkingTest, TheTemplateIsToldOfEffortAndTheCallersVariables) {
  open(kBegun);
  llm::Request request = asked();
  request.thinking = {.on = true, .effort = "high", .template_variables = R"({"mood":"</s>"})"};
  EXPECT_THAT(prompt_of(request), HasSubstr("hi/high/</s>[assistant]"));
  const auto tokens = model_->prompt_of(request);
  EXPECT_EQ(std::count(tokens->begin(), tokens->end(), 2), 0) << "a caller's text forges no control token";
  request.thinking.template_variables = R"({"enable_thinking":false,"reasoning_effort":"low"})";
  EXPECT_THAT(prompt_of(request), HasSubstr("/off/low")) << "their last word";
}

TEST_F(ThinkingTest, HistoryBringsItsThoughts) {
  open(kBegun);
  llm::Request request = asked();
  request.messages.push_back(
      {.role = "assistant", .content = "yo", .name = {}, .tool_call_id = {}, .reasoning = "hm"});
  request.messages.push_back({.role = "user", .content = "so", .name = {}, .tool_call_id = {}});
  EXPECT_THAT(prompt_of(request), HasSubstr("[assistant]<think>hm</think>yo[user]so"));
}

TEST_F(ThinkingTest, StopStringsEndAnswersNotThoughts) {
  open(kBegun);
  llm::Request request = asked();
  always('a', request);
  request.thinking.budget_tokens = 6;
  request.stop = {"aa"};
  const Answer got = answer(request);
  EXPECT_EQ(got.reasoning, "aaaaaa");
  EXPECT_EQ(got.text, "");
  EXPECT_EQ(got.reason, llm::FinishReason::kStop);
}

TEST_F(ThinkingTest, TheLimitMayEndAThought) {
  open(kBegun);
  llm::Request request = asked(7);
  always('a', request);
  const Answer got = answer(request);
  EXPECT_EQ(got.reasoning, "aaaaaaa");
  EXPECT_EQ(got.text, "");
  EXPECT_EQ(got.reason, llm::FinishReason::kLength);
  EXPECT_EQ(got.usage.reasoning_tokens, 7);
}

TEST_F(ThinkingTest, EveryChoiceHasItsOwnBudget) {
  open(kBegun);
  llm::Request request = asked_for("yes");
  always('a', request);
  request.n = 2;
  request.thinking.budget_tokens = 3;
  const auto events = events_of(request);
  EXPECT_EQ(llm::text_of(events, 0), "yes");
  EXPECT_EQ(llm::text_of(events, 1), "yes");
  const auto& usage = std::get<llm::Done>(events.back()).usage;
  EXPECT_EQ(usage.completion_tokens, usage.reasoning_tokens + 8);
}

TEST_F(ThinkingTest, AFormLeavesTheModelToThinkOrNot) {
  open(kFree);
  llm::Request request = asked_for("yes");
  always('y', request);
  const Answer plain = answer(request);
  EXPECT_EQ(plain.text, "yes");
  EXPECT_EQ(plain.usage.reasoning_tokens, 0);
  request.sampling.logit_bias.clear();
  always('<', request);  // what the form lets it write first, if it thinks
  request.thinking.budget_tokens = 4;
  const Answer thought = answer(request);
  EXPECT_EQ(thought.text, "yes");
  EXPECT_EQ(thought.reasoning, "<<<<");
  request.thinking.on = false;
  const Answer off = answer(request);
  EXPECT_EQ(off.text, "yes");
  EXPECT_EQ(off.reasoning, "");
  EXPECT_EQ(off.usage.reasoning_tokens, 0);
}

TEST_F(ThinkingTest, WhatWasTaughtNeedsNoThought) {
  open(kBegun);
  llm::Request request = asked();
  request.recall = taught("Oslo");
  const Answer got = answer(request);
  EXPECT_EQ(got.reasoning, "");
  EXPECT_THAT(got.text, EndsWith("Oslo"));
}

// A taught answer stands for what a trained model would write: it comes token by token, as any.
TEST_F(ThinkingTest, ThoughtsAreStreamedAndCounted) {
  open(kFree);
  llm::Request request = asked();
  request.recall = taught("<think>so-it-is</think>\n\nYes<think>");
  request.logprobs = 0;
  request.stop = {"so"};
  const auto events = events_of(request);
  int thoughts = 0, texts = 0;
  for (const llm::Event& event : events) {
    const auto* delta = std::get_if<llm::Delta>(&event);
    if (delta == nullptr) continue;
    thoughts += delta->reasoning.empty() ? 0 : 1;
    texts += delta->text.empty() ? 0 : 1;
    EXPECT_TRUE(delta->reasoning.empty() || delta->logprobs.empty());
  }
  EXPECT_GE(thoughts, 6) << "as they come";
  EXPECT_GE(texts, 5);
  const Answer got = answer(request);
  EXPECT_EQ(got.reasoning, "so-it-is");
  EXPECT_EQ(got.text, "Yes<think>");
}

TEST_F(ThinkingTest, ChannelsAreReadByTheirOwnParser) {
  open(kChannels);
  llm::Request request = asked(200);
  request.messages.push_back(
      {.role = "assistant", .content = "yo", .name = {}, .tool_call_id = {}, .reasoning = "hm"});
  request.messages.push_back({.role = "user", .content = "so", .name = {}, .tool_call_id = {}});
  EXPECT_THAT(prompt_of(request), HasSubstr("analysis<|message|>hm<|end|>"));
  request.recall = taught(
      "<|channel|>analysis<|message|>so-it-is<|end|><|start|>assistant<|channel|>final<|message|>Yes.");
  const Answer got = answer(request);
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.reasoning, "so-it-is");
  EXPECT_EQ(got.text, "Yes.");
  EXPECT_GE(got.usage.reasoning_tokens, 8);
  EXPECT_LT(got.usage.reasoning_tokens, 20) << "the answer's channel is none";
}

TEST_F(ThinkingTest, WhatATemplateRefusesIsTold) {
  open(
      "{% if mood != 'good' %}{{ raise_exception('Be in a good mood') }}{% endif %}{{ messages[0].content }}</think>");
  EXPECT_THAT(answer(asked()).error, HasSubstr("Be in a good mood"));
}

}  // namespace
}  // namespace pmt::inference
