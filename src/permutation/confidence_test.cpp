#include "permutation/confidence.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace pmt::permutation {
namespace {

llm::TokenLogprob token(double probability) {
  llm::TokenLogprob out;
  out.logprob = static_cast<float>(std::log(probability));
  return out;
}

TEST(Confidence, IsTheGeometricMean) {
  Confidence confidence;
  EXPECT_EQ(confidence.value(), 1) << "nothing was said yet";
  confidence.add({token(0.5), token(0.125)});
  EXPECT_NEAR(confidence.value(), 0.25, 1e-6);
  confidence.add({llm::TokenLogprob{}});
  EXPECT_EQ(confidence.tokens(), 2) << "one without a probability says nothing";
  confidence.add({token(0)});
  EXPECT_GT(confidence.value(), 0);
  EXPECT_LT(confidence.value(), 0.001) << "what is impossible counts, and not for ever";
}

TEST(Confidence, ItsLogprobsAreTakenOutOfWhatTheCallerGets) {
  llm::Delta delta;
  delta.text = "a";
  delta.logprobs = {token(0.5)};
  delta.choice_more = R"("logprobs":{"content":[]},"other":1)";
  drop_logprobs(delta);
  EXPECT_TRUE(delta.logprobs.empty());
  EXPECT_EQ(delta.choice_more, R"("other":1)");
  EXPECT_EQ(delta.text, "a");
}

}  // namespace
}  // namespace pmt::permutation
