#include "inference/local_embedder.h"

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include <gtest/gtest.h>

namespace pmt::inference {
namespace {

using llm::EmbedInput;

std::vector<EmbedInput> texts(std::initializer_list<std::string> all) {
  std::vector<EmbedInput> inputs;
  for (const std::string& text : all) inputs.push_back({.text = text});
  return inputs;
}

double cosine(const llm::Embeddings& a, std::size_t i, const llm::Embeddings& b, std::size_t j) {
  double sum = 0;
  for (std::size_t k = 0; k < a.width; ++k) {
    sum += static_cast<double>(a.values[i * a.width + k]) * b.values[j * b.width + k];
  }
  return sum;
}

class LocalEmbedderTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("PERMUTATION_EMBEDDER");
    if (path == nullptr || !std::filesystem::exists(path)) {
      GTEST_SKIP() << "PERMUTATION_EMBEDDER names no file; ./dev test fetches the embedding model";
    }
    embedder = LocalEmbedder::create({.name = "all-minilm-l6-v2", .path = path}, clock);
  }
  base::SystemClock clock;
  std::unique_ptr<LocalEmbedder> embedder;
};

TEST_F(LocalEmbedderTest, LoadsOnFirstUseAndPutsLikeNearLike) {
  EXPECT_FALSE(embedder->stats().loaded);
  const auto all = embedder->embed(texts(
      {"How do I reset my password?", "I forgot my password, how can I change it?", "Paris in spring"}));
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_TRUE(embedder->stats().loaded);
  EXPECT_EQ(all->width, 384U);
  ASSERT_EQ(all->values.size(), 3 * 384U);
  EXPECT_NEAR(cosine(*all, 0, *all, 0), 1, 1e-5);
  EXPECT_GT(cosine(*all, 0, *all, 1), 0.7);
  EXPECT_LT(cosine(*all, 0, *all, 2), 0.3);
  EXPECT_EQ(all->tokens, 9 + 13 + 5);
}

TEST_F(LocalEmbedderTest, AVectorDoesNotDependOnItsBatch) {
  std::vector<EmbedInput> many;
  for (int i = 0; i < 150; ++i) {
    many.push_back({.text = std::string("question ") + std::to_string(i) + std::string(i % 7 * 9, 'a')});
  }
  const auto together = embedder->embed(many);
  ASSERT_TRUE(together) << together.error().message;
  for (const int i : {0, 17, 64, 149}) {
    const auto alone = embedder->embed({many[static_cast<std::size_t>(i)]});
    ASSERT_TRUE(alone);
    EXPECT_GT(cosine(*together, static_cast<std::size_t>(i), *alone, 0), 0.99999) << i;
  }
}

TEST_F(LocalEmbedderTest, ManyThreadsAtOnceGetTheirOwnVectors) {
  const auto first = embedder->embed(texts({"zero", "one", "two", "three"}));
  ASSERT_TRUE(first);
  const std::vector<std::string> words = {"zero", "one", "two", "three"};
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (std::size_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 10; ++round) {
        const auto got = embedder->embed(words[t % 4]);
        if (got && cosine(*got, 0, *first, t % 4) > 0.9999) ++right;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 80);
}

TEST_F(LocalEmbedderTest, TokensAreTakenAsTheTextThatTheyCameFrom) {
  const auto text = embedder->embed("hello world");
  const auto bare = embedder->embed({EmbedInput{.tokens = {7592, 2088}}});
  const auto framed = embedder->embed({EmbedInput{.tokens = {101, 7592, 2088, 102}}});
  ASSERT_TRUE(text && bare && framed);
  EXPECT_GT(cosine(*text, 0, *bare, 0), 0.99999);
  EXPECT_GT(cosine(*text, 0, *framed, 0), 0.99999);
}

TEST_F(LocalEmbedderTest, BadInputNamesTheInputAndTheRestGoesOn) {
  std::string long_text;
  for (int i = 0; i < 600; ++i) long_text += "word ";
  const auto too_long = embedder->embed(texts({"fine", long_text}));
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, base::Code::kTooLarge);
  EXPECT_EQ(too_long.error().field, "input[1]");
  EXPECT_NE(too_long.error().message.find("602 tokens, the model takes 512"), std::string::npos);
  const auto unknown = embedder->embed({EmbedInput{.tokens = {1, 40'000}}});
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, base::Code::kInvalidArgument);
  EXPECT_TRUE(embedder->embed("still there"));
}

TEST_F(LocalEmbedderTest, WhatIsTooLongMayBeCut) {
  std::string fits, longer;
  for (int i = 0; i < 510; ++i) fits += "7,"[i % 2];
  for (int i = 0; i < 3000; ++i) longer += "7,"[i % 2];
  const auto both = embedder->embed({EmbedInput{.text = fits}, EmbedInput{.text = longer, .cut = true}});
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(both->tokens, 512 + 512);
  EXPECT_GT(cosine(*both, 0, *both, 1), 0.9999) << "the first of them, between begin and end";
}

TEST_F(LocalEmbedderTest, WhatNobodyWaitsForIsNotComputed) {
  const base::CancelToken cancel;
  cancel.cancel();
  std::promise<base::Code> code;
  embedder->embed_async(texts({"a"}), cancel, [&](auto result) {
    code.set_value(result ? base::Code::kInternal : result.error().code);
  });
  EXPECT_EQ(code.get_future().get(), base::Code::kCancelled);
}

TEST_F(LocalEmbedderTest, ShuttingDownEndsWhatWaits) {
  std::atomic<int> ended{0};
  for (int i = 0; i < 20; ++i) {
    embedder->embed_async(texts({"a", "b", "c"}), {}, [&](const auto&) { ++ended; });
  }
  embedder.reset();
  EXPECT_EQ(ended, 20);
}

TEST(LocalEmbedder, AFileThatIsNoModelIsAnErrorEachTime) {
  const base::SystemClock clock;
  const auto path = std::filesystem::path(testing::TempDir()) / "not-a-model.gguf";
  std::ofstream(path) << "GGUF but not really";
  const auto embedder = LocalEmbedder::create({.name = "x", .path = path.string()}, clock);
  for (int i = 0; i < 2; ++i) {
    const auto failed = embedder->embed("hello");
    ASSERT_FALSE(failed);
    EXPECT_NE(failed.error().message.find(path.string()), std::string::npos) << failed.error().message;
  }
}

TEST(LocalEmbedder, AModelThatWritesIsRefused) {
  const char* path = std::getenv("PERMUTATION_MODEL");
  if (path == nullptr || !std::filesystem::exists(path)) GTEST_SKIP() << "PERMUTATION_MODEL names no file";
  const base::SystemClock clock;
  const auto failed = LocalEmbedder::create({.name = "x", .path = path}, clock)->embed("hello");
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("it doesn't pool its tokens"), std::string::npos)
      << failed.error().message;
}

}  // namespace
}  // namespace pmt::inference
