#include "inference/libllama/llama_prefixes.h"

#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "inference/libllama/llama_model.h"
#include "model/testing/tiny_family.h"

namespace pmt::inference {
namespace {

using model::testing::TinyFamily;

/// A context of eight sequences; cells are counted without reading anything into them.
class LlamaSequencesTest : public testing::Test {
 protected:
  void SetUp() override {
    LocalModelOptions options;
    options.name = "tiny";
    options.path = file_.path();
    options.threads = 1;
    options.sequences_max = 8;
    auto model = LlamaModel::load(options);
    ASSERT_TRUE(model) << model.error().message;
    model_ = std::move(*model);
    auto context = LlamaContext::create(model_->raw(), model_->context());
    ASSERT_TRUE(context) << context.error().message;
    context_ = std::move(*context);
    sequences_ = std::make_unique<LlamaSequences>(*context_);
  }
  /// One that has read 100 + i, 100 + i + 1 and so on.
  static std::vector<std::int32_t> tokens(int count, int first = 100) {
    std::vector<std::int32_t> out;
    for (int i = 0; i < count; ++i) out.push_back(first + i);
    return out;
  }
  LlamaSequence read(int count) {
    LlamaSequence out = std::move(*sequences_->open());
    out.read(count);
    return out;
  }

  const TinyFamily file_{{.architecture = "llama"}};
  std::unique_ptr<LlamaModel> model_;
  std::unique_ptr<LlamaContext> context_;
  std::unique_ptr<LlamaSequences> sequences_;
};

TEST_F(LlamaSequencesTest, CellsThatAreSharedCountOnceUntilTheLastHasGone) {
  EXPECT_EQ(sequences_->numbers_free(), 8);
  LlamaSequence first = read(100);
  LlamaSequence second = std::move(*sequences_->open());
  second.share(first, 100);
  EXPECT_EQ(second.tokens(), 100);
  EXPECT_EQ(sequences_->cells_taken(), 100);
  second.read(10);
  first.read(5);
  EXPECT_EQ(sequences_->cells_taken(), 115);
  first.close();
  EXPECT_EQ(sequences_->cells_taken(), 110);
  EXPECT_EQ(sequences_->numbers_free(), 7);
  second.close();
  EXPECT_EQ(sequences_->cells_taken(), 0);
  EXPECT_EQ(sequences_->numbers_free(), 8);
}

TEST_F(LlamaSequencesTest, ThereAreAsManyAsTheContextHas) {
  std::vector<LlamaSequence> all;
  while (auto sequence = sequences_->open()) all.push_back(std::move(*sequence));
  EXPECT_EQ(all.size(), 8U);
}

TEST_F(LlamaSequencesTest, TheLongestBeginningOfTheSameScopeIsShared) {
  LlamaPrefixes prefixes(*context_, {.cells_max = 1000});
  prefixes.keep(tokens(40), "a", read(40));
  std::vector<std::int32_t> other = tokens(40);
  other[30] = 7;
  prefixes.keep(other, "a", read(40));
  prefixes.keep(tokens(60), "b", read(60));
  LlamaSequence into = std::move(*sequences_->open());
  EXPECT_EQ(prefixes.share(tokens(50), "a", 0, into), 40);
  EXPECT_EQ(into.tokens(), 40);
  LlamaSequence none = std::move(*sequences_->open());
  EXPECT_EQ(prefixes.share(tokens(50), "a", 40, none), 0) << "as much is known already";
  EXPECT_EQ(prefixes.share(tokens(50), "c", 0, none), 0);
  EXPECT_EQ(prefixes.share(tokens(40), "a", 0, none), 39) << "the last token is read in any case";
}

TEST_F(LlamaSequencesTest, WhatAnotherCoversIsNotKeptTwice) {
  LlamaPrefixes prefixes(*context_, {.cells_max = 1000});
  prefixes.keep(tokens(40), "a", read(40));
  prefixes.keep(tokens(60), "a", read(60));
  EXPECT_EQ(prefixes.count(), 1);
  EXPECT_EQ(prefixes.cells(), 60);
  prefixes.keep(tokens(30), "a", read(30));
  EXPECT_EQ(prefixes.count(), 1);
  EXPECT_EQ(sequences_->cells_taken(), 60);
}

TEST_F(LlamaSequencesTest, TheOneUsedLongestAgoGoesFirst) {
  LlamaPrefixes prefixes(*context_, {.cells_max = 100});
  prefixes.keep(tokens(40, 3), "a", read(40));
  prefixes.keep(tokens(40, 50), "a", read(40));
  LlamaSequence into = std::move(*sequences_->open());
  EXPECT_EQ(prefixes.share(tokens(45, 3), "a", 0, into), 40);
  into.close();
  prefixes.keep(tokens(40, 120), "a", read(40));
  EXPECT_EQ(prefixes.count(), 2);
  EXPECT_EQ(prefixes.share(tokens(45, 50), "a", 0, into), 0);
  EXPECT_TRUE(prefixes.give_up_oldest());
  EXPECT_TRUE(prefixes.give_up_oldest());
  EXPECT_FALSE(prefixes.give_up_oldest());
  EXPECT_EQ(sequences_->cells_taken(), 0);
}

TEST_F(LlamaSequencesTest, AStateIsGoneOnFromWholeOrNotAtAll) {
  LlamaPrefixes prefixes(*context_, {.cells_max = 1000, .states = true});
  prefixes.keep(tokens(40), "a", read(40));
  LlamaSequence into = std::move(*sequences_->open());
  EXPECT_EQ(prefixes.share(tokens(40), "a", 0, into), 0);
  EXPECT_EQ(prefixes.share(tokens(41), "a", 0, into), 40);
}

}  // namespace
}  // namespace pmt::inference
