#include "permutation/synthesis.h"

#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::permutation {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const Drafts kDrafts{.question = "How far?", .student = "Six.", .teacher = "Seven."};

TEST(Synthesis, AChatBecomesOneMessage) {
  llm::Request request;
  request.max_tokens = 9;
  request.messages.resize(3);
  request.sent = std::make_shared<llm::SentBody>();
  const llm::Request out = synthesis_request(std::move(request), kDrafts);
  ASSERT_EQ(out.messages.size(), 1U);
  EXPECT_EQ(out.messages[0].role, "user");
  EXPECT_THAT(out.messages[0].content,
              AllOf(HasSubstr("How far?"), HasSubstr("Draft A, of a small model:\nSix."),
                    HasSubstr("Draft B, of a large model:\nSeven."), Not(HasSubstr("these facts"))));
  EXPECT_EQ(out.sent, nullptr) << "the caller wrote something else";
  EXPECT_EQ(out.max_tokens, 9);
}

TEST(Synthesis, ACompletionBecomesOnePrompt) {
  llm::Request request;
  request.endpoint = llm::Endpoint::kCompletions;
  request.prompt_tokens = {1, 2};
  const llm::Request out = synthesis_request(std::move(request), kDrafts);
  EXPECT_THAT(out.prompt, HasSubstr("Draft B"));
  EXPECT_TRUE(out.prompt_tokens.empty());
  EXPECT_TRUE(out.messages.empty());
}

TEST(Synthesis, FactsAreShownWithTheDraftThatRestsOnThem) {
  Drafts drafts = kDrafts;
  drafts.facts = {"acme/1", "acme/2"};
  llm::Request request;
  EXPECT_THAT(synthesis_request(std::move(request), drafts).messages[0].content,
              HasSubstr("Draft A, of a small model that knows these facts:\n- acme/1\n- acme/2\n:\nSix."));
}

}  // namespace
}  // namespace pmt::permutation
