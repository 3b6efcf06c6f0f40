#include "inference/drafting.h"

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::inference {
namespace {

using testing::HasSubstr;

constexpr double kPlain = 0.05;

StepCosts free_rows() {
  StepCosts out{};
  out.fill(1);
  return out;
}

/// The small model drafts for itself.
class DraftingTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::getenv("PERMUTATION_MODEL");
    vocab_ = std::move(*model::Vocab::load(path_));
    text_ = vocab_->tokenize("The days of the week are Monday, Tuesday,", {});
  }
  std::unique_ptr<DraftModel> load() {
    auto model = DraftModel::load(path_, 2, *vocab_, {});
    EXPECT_TRUE(model) << model.error().message;
    return std::move(*model);
  }
  /// One token after another.
  std::vector<std::int32_t> written(DraftModel& model, std::vector<std::int32_t> text, int tokens) {
    std::vector<std::int32_t> out;
    for (int i = 0; i < tokens; ++i) {
      const auto draft = model.next(text);
      if (!draft) break;
      EXPECT_GT(draft->probability, 0);
      EXPECT_LE(draft->probability, 1);
      out.push_back(draft->token);
      text.push_back(draft->token);
    }
    return out;
  }
  std::string words(const std::vector<std::int32_t>& tokens) const {
    std::string out;
    for (const std::int32_t token : tokens) out += vocab_->piece(token);
    return out;
  }

  std::string path_;
  std::unique_ptr<model::Vocab> vocab_;
  std::vector<std::int32_t> text_;
  const base::FakeClock clock_;  // stands still: drafts cost nothing
};

TEST_F(DraftingTest, WritesWhatTheModelWrites) {
  const auto model = load();
  EXPECT_THAT(words(written(*model, text_, 6)), HasSubstr("Wednesday, Thursday"));
  EXPECT_EQ(model->unread(text_), 1) << "the text's last token is read again for what follows it";
  model->forget();
  EXPECT_EQ(model->unread(text_), static_cast<int>(text_.size()));
}

TEST_F(DraftingTest, GoesOnFromWhatCameTrue) {
  const auto model = load();
  const auto drafts = written(*model, text_, 4);
  auto text = text_;
  text.insert(text.end(), drafts.begin(), drafts.begin() + 2);
  text.push_back(text_.front());  // the answer went another way
  EXPECT_EQ(model->unread(text), 1);
  const auto after = written(*model, text, 3);
  EXPECT_EQ(written(*load(), text, 3), after) << "as if nothing else had been read";
}

TEST_F(DraftingTest, ReadsTheEndOfALongText) {
  std::vector<std::int32_t> text;
  while (text.size() < 1000) text.insert(text.end(), text_.begin(), text_.end());
  const auto model = load();
  EXPECT_LT(model->unread(text), 200);
  const auto first = written(*model, text, 6);
  EXPECT_THAT(words(first), HasSubstr("days"));
  text.insert(text.end(), first.begin(), first.end());
  EXPECT_EQ(model->unread(text), 1) << "the last draft";
}

TEST_F(DraftingTest, ProposesAsLongAsItPays) {
  auto model = load();
  const auto expected = written(*model, text_, 4);
  const auto drafting = std::move(*Drafting::create(load(), clock_));
  drafting->follow("one", 0);
  auto drafts = drafting->propose(text_, 4, kPlain, free_rows());
  ASSERT_FALSE(drafts.empty());
  EXPECT_EQ(drafts, std::vector(expected.begin(), expected.begin() + static_cast<int>(drafts.size())));
  EXPECT_TRUE(drafting->propose(text_, 4, 0, free_rows()).empty()) << "no step was measured";
  StepCosts dear = free_rows();
  for (std::size_t n = 1; n < dear.size(); ++n) dear[n] = 1 + static_cast<double>(n);
  EXPECT_TRUE(drafting->propose(text_, 4, kPlain, dear).empty());
  for (int i = 0; i < 40; ++i) {
    drafts = drafting->propose(text_, 4, kPlain, free_rows());
    drafting->settle(0, kPlain);
  }
  drafting->follow("another", 0);
  EXPECT_EQ(drafting->propose(text_, 1, kPlain, free_rows()).size(), 1U);
}

TEST_F(DraftingTest, AnotherVocabularyIsRefused) {
  const char* const embedder = std::getenv("PERMUTATION_EMBEDDER");
  if (embedder == nullptr) GTEST_SKIP() << "no second model";
  const auto other = DraftModel::load(embedder, 2, *vocab_, {});
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().field, "draft");
  EXPECT_THAT(other.error().message, HasSubstr("can't draft"));
}

}  // namespace
}  // namespace pmt::inference
