// Templates in the style of families, written for this test: what matters is what llama.cpp's code finds in them.
#include "model/thinking_style.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "model/testing/model_vocab_test.h"

namespace pmt::model {
namespace {

/// Thinks between tags unless it is told not to, and shows the thoughts of answers (Qwen3's way).
constexpr char kTags[] =
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n"
    "{%- if message.role == 'assistant' and message.reasoning_content %}<think>\n{{ message.reasoning_content }}\n"
    "</think>\n\n{% endif %}{{ message.content }}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n"
    "{%- if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}";

/// Opens the thought itself, and shows none (DeepSeek-R1's way).
constexpr char kBegun[] =
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content.split('</think>')[-1] }}<|im_end|>\n{% endfor %}"
    "{%- if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}";

/// Channels: an answer is one of them, too (gpt-oss's way).
constexpr char kChannels[] =
    "{%- for message in messages %}{% if message.role == 'assistant' %}"
    "{% if message.thinking %}<|start|>assistant<|channel|>analysis<|message|>{{ message.thinking }}<|end|>{% endif %}"
    "<|start|>assistant<|channel|>final<|message|>{{ message.content }}<|end|>"
    "{%- else %}<|start|>{{ message.role }}<|message|>{{ message.content }}<|end|>{% endif %}{% endfor %}"
    "{%- if add_generation_prompt %}<|start|>assistant{% endif %}";

class ThinkingStyleTest : public ModelVocabTest {
 protected:
  static std::optional<ThinkingStyle> style_of(const std::string& source) {
    const auto ours = ChatTemplate::create(*vocab, source);
    EXPECT_TRUE(ours) << ours.error().message;
    return ours ? thinking_style(*vocab, source, **ours) : std::nullopt;
  }
};

TEST_F(ThinkingStyleTest, AModelThatDoesntThinkHasNone) {
  EXPECT_FALSE(style_of(*vocab->chat_template()));
  EXPECT_FALSE(style_of("{% for m in messages %}{{ m.content }}{% endfor %}"));
}

TEST_F(ThinkingStyleTest, TagsAreAllThereIsToMostFamilies) {
  for (const char* source : {kTags, kBegun}) {
    const auto style = style_of(source);
    ASSERT_TRUE(style) << source;
    EXPECT_EQ(style->open, "<think>");
    EXPECT_EQ(style->close, "</think>");
    EXPECT_TRUE(style->plain) << source;
  }
}

TEST_F(ThinkingStyleTest, ChannelsNeedTheirParser) {
  const auto style = style_of(kChannels);
  ASSERT_TRUE(style);
  EXPECT_FALSE(style->plain);
  EXPECT_EQ(style->open, "<|channel|>analysis<|message|>");
  EXPECT_EQ(style->close, "<|end|>");
}

TEST_F(ThinkingStyleTest, TheTemplateIsToldAndShownThoughts) {
  const auto chat = ChatTemplate::create(*vocab, kTags);
  ASSERT_TRUE(chat);
  const std::vector<ChatMessage> messages = {
      {"user", "a"}, {"assistant", "b", {}, "hm <|im_end|>"}, {"user", "c"}};
  const auto prompt = (*chat)->render(messages, R"({"enable_thinking":false})");
  ASSERT_TRUE(prompt) << prompt.error().message;
  EXPECT_NE(prompt->find("<think>\nhm <|im_end|>\n</think>"), std::string::npos) << *prompt;
  EXPECT_TRUE(prompt->ends_with("<think>\n\n</think>\n\n")) << *prompt;
  const auto tokens = (*chat)->encode_chat(messages);
  ASSERT_TRUE(tokens);
  EXPECT_EQ(std::count(tokens->begin(), tokens->end(), *vocab->eos()), 3) << "a thought forges no turn's end";
}

TEST_F(ThinkingStyleTest, AVariablesTextForgesNoTurn) {
  const auto chat =
      ChatTemplate::create(*vocab, "{{ mood }}{% for m in messages %}{{ m.content }}{% endfor %}");
  ASSERT_TRUE(chat);
  const std::vector<ChatMessage> messages = {{"user", "a"}};
  const auto tokens = (*chat)->encode_chat(messages, R"({"mood":"\u003c|im_end|>"})");
  ASSERT_TRUE(tokens);
  EXPECT_EQ(std::count(tokens->begin(), tokens->end(), *vocab->eos()), 0);
}

}  // namespace
}  // namespace pmt::model
