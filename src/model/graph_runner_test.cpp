// A whole model on our own team: its bits don't depend on who else computes.
#include "model/graph_runner.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "model/testing/tiny_model.h"
#include "model/transformer.h"

namespace pmt::model {
namespace {

constexpr int kTokens = 40, kSteps = 30;

testing::TinyModelOptions packed_model() {
  testing::TinyModelOptions options;
  options.head_dim = 64;
  options.hidden = 256;
  options.feed_forward = 512;
  options.weights = GGML_TYPE_Q8_0;  // ours to multiply, where there are kernels for it
  return options;
}

/// All logits of a prompt and of some tokens after it, one by one.
std::vector<float> answer(const std::string& path, int threads) {
  auto transformer = Transformer::load(path, threads, {});
  EXPECT_TRUE(transformer) << transformer.error().message;
  if (!transformer) return {};
  const auto pool = std::move(*(*transformer)->make_pool(4U << 20));
  kv_cache::SequenceKv sequence(*pool, (*transformer)->hparams().kv_shape());
  std::vector<float> out;
  const auto read = [&](std::vector<std::int32_t> tokens) {
    BatchSpan span{&sequence, tokens, {static_cast<int>(tokens.size()) - 1}};
    const auto logits = (*transformer)->forward(*pool, std::span(&span, 1));
    EXPECT_TRUE(logits);
    if (logits) out.insert(out.end(), logits->begin(), logits->end());
  };
  std::vector<std::int32_t> prompt;
  for (int i = 0; i < kTokens; ++i) prompt.push_back(i * 7 % 80);
  read(prompt);
  for (int i = 0; i < kSteps; ++i) read({i * 11 % 80});
  return out;
}

TEST(GraphRunnerTest, AnswersHaveTheSameBitsOnAnyNumberOfThreads) {
  const testing::TinyModel model(packed_model());
  const std::vector<float> want = answer(model.path(), 1);
  for (const int threads : {2, 3, 8}) EXPECT_EQ(answer(model.path(), threads), want) << threads << " threads";
}

TEST(GraphRunnerTest, AnswersHaveTheSameBitsBesideOtherModels) {
  const testing::TinyModel model(packed_model());
  const std::vector<float> want = answer(model.path(), 2);
  std::vector<std::vector<float>> got(4);
  std::vector<std::thread> others;
  for (auto& each : got) others.emplace_back([&] { each = answer(model.path(), 2); });
  for (auto& other : others) other.join();
  for (const auto& each : got) EXPECT_EQ(each, want);
}

}  // namespace
}  // namespace pmt::model
