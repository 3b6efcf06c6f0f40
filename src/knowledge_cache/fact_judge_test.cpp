#include "knowledge_cache/fact_judge.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::knowledge_cache {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::SizeIs;

/// Says how likely yes and no are by what is asked last.
class Oracle final : public llm::Completer {
 public:
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override {
    asked.push_back(request);
    if (cancel.cancelled())
      return sink->on_event(llm::Failed{base::Error{base::Code::kCancelled, "cancelled"}});
    const std::string& question = request.messages.back().content;
    if (question.find("fail") != std::string::npos)
      return sink->on_event(llm::Failed{base::Error{base::Code::kUnavailable, "busy"}});
    sink->on_event(llm::Started{});
    llm::TokenLogprob token{.token = "x", .logprob = 0.0F, .top = {}};
    if (question.find("sure") != std::string::npos)
      token.top = {{"Yes", std::log(0.6F)}, {"yes", std::log(0.2F)}, {" no", std::log(0.1F)}};
    if (question.find("never") != std::string::npos) token.top = {{"No", std::log(0.9F)}};
    sink->on_event(llm::Delta{.choice = 0, .text = "x", .logprobs = {token}});
    sink->on_event(llm::Done{});
  }
  std::vector<llm::Request> asked;
};

class FactJudges : public testing::Test {
 protected:
  FactJudge::Verdicts verdicts(const std::vector<std::string>& questions,
                               const base::CancelToken& cancel = {}) {
    std::vector<FactJudge::Case> cases;
    for (const std::string& question : questions) cases.push_back({"The line of Zorvane is 7.", question});
    FactJudge::Verdicts out;
    int calls = 0;
    judge_.ask(request_, cases, cancel, [&](const FactJudge::Verdicts& said) {
      out = said;
      ++calls;
    });
    EXPECT_EQ(calls, 1);
    return out;
  }

  Oracle model_;
  FactJudge judge_{model_};
  llm::Request request_;
};

TEST_F(FactJudges, WeighsYesAgainstNoInAnyWriting) {
  EXPECT_THAT(verdicts({"sure?", "never?"}),
              ElementsAre(FloatNear(std::log(8.0F), 1e-4F), FactJudge::kUnknown));
}

TEST_F(FactJudges, NeitherWordIsNoVerdict) {
  EXPECT_THAT(verdicts({"what?"}), ElementsAre(FactJudge::kUnknown));
}

TEST_F(FactJudges, AsksForOneTokenOnBehalfOfTheRequest) {
  request_.tenant = "a";
  request_.model = "m";
  request_.messages.push_back(
      {.role = "user", .content = "mine", .name = {}, .tool_calls = {}, .tool_call_id = {}});
  verdicts({"sure?"});
  ASSERT_THAT(model_.asked, SizeIs(1));
  const llm::Request& call = model_.asked[0];
  EXPECT_EQ(call.tenant, "a");
  EXPECT_EQ(call.model, "m");
  EXPECT_EQ(call.max_tokens, 1);
  EXPECT_EQ(call.sampling.temperature, 0);
  EXPECT_TRUE(call.engine_call);
  EXPECT_EQ(call.messages.back().content, "Sentence: The line of Zorvane is 7.\nQuestion: sure?");
  for (const llm::Message& message : call.messages)
    EXPECT_EQ(message.content.find("mine"), std::string::npos);
}

TEST_F(FactJudges, RemembersWhatWasSaidForItsTenantAlone) {
  const auto first = verdicts({"sure?", "never?"});
  EXPECT_EQ(verdicts({"never?", "sure?"}), (FactJudge::Verdicts{first[1], first[0]}));
  EXPECT_THAT(model_.asked, SizeIs(2)) << "asked twice, answered once";
  request_.tenant = "b";
  verdicts({"sure?"});
  EXPECT_THAT(model_.asked, SizeIs(3));
}

TEST_F(FactJudges, AFailureIsNoVerdictAndIsAskedAgain) {
  EXPECT_THAT(verdicts({"fail?", "sure?"}), ElementsAre(FactJudge::kUnknown, FloatNear(2.08F, 0.01F)));
  verdicts({"fail?"});
  EXPECT_THAT(model_.asked, SizeIs(3));
}

TEST_F(FactJudges, AfterACancelNothingMoreIsAsked) {
  const base::CancelToken cancel;
  cancel.cancel();
  EXPECT_THAT(verdicts({"sure?", "sure? again"}, cancel),
              ElementsAre(FactJudge::kUnknown, FactJudge::kUnknown));
  EXPECT_THAT(model_.asked, SizeIs(0));
}

}  // namespace
}  // namespace pmt::knowledge_cache
