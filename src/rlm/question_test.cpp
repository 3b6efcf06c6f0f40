#include "rlm/question.h"

#include <gtest/gtest.h>

#include "rlm/asker.h"
#include "rlm/rlm_request.h"

namespace pmt::rlm {
namespace {

Asked asked(std::vector<llm::Message> messages, std::vector<std::string> context = {}) {
  llm::Request request;
  request.messages = std::move(messages);
  request.options.set(RlmRequest{.context = std::move(context)});
  auto result = question_of(request);
  EXPECT_TRUE(result);
  return result ? *result : Asked{};
}

const std::string kBook(5'000, 'b');

TEST(Question, AGivenContextIsTheContext) {
  const Asked one = asked({message("user", "Who?")}, {"the text"});
  EXPECT_EQ(one.question, "Who?");
  EXPECT_EQ(one.text, "the text");
  EXPECT_TRUE(one.parts.empty());
  const Asked many = asked({message("user", "Who?")}, {"a", "b"});
  EXPECT_EQ(many.parts, (std::vector<std::string>{"a", "b"}));
  Watch watch;
  const auto part = [&many](std::size_t i) -> const std::string& { return many.parts[i]; };
  EXPECT_EQ(joined(2, part, watch).value(), "a\n\nb");
  EXPECT_EQ(joined(0, part, watch).value(), "");
}

TEST(Question, EarlierMessagesAreTheContext) {
  const Asked a = asked({message("system", "Be kind."), message("user", kBook), message("user", "Who?")});
  EXPECT_EQ(a.question, "Who?");
  EXPECT_EQ(a.text, kBook);
}

TEST(Question, OneLongMessageIsSplitAtItsParagraphs) {
  EXPECT_EQ(asked({message("user", kBook + "\n\nWho did it?")}).question, "Who did it?");
  EXPECT_EQ(asked({message("user", kBook + "\n\nWho did it?")}).text, kBook);
  EXPECT_EQ(asked({message("user", "Who did it?\n\n" + kBook)}).question, "Who did it?");
  EXPECT_EQ(asked({message("user", "Who did it?\n\n" + kBook + "\n\nThe end.")}).question, "Who did it?");
}

TEST(Question, AShortOneStandsAlone) {
  EXPECT_EQ(asked({message("user", "Who?")}).text, "");
  llm::Request none;
  none.messages = {message("system", "x")};
  EXPECT_EQ(question_of(none).error().field, "messages");
}

}  // namespace
}  // namespace pmt::rlm
