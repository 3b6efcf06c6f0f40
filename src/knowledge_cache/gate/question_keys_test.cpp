#include "knowledge_cache/gate/question_keys.h"

#include <unistd.h>

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "knowledge_cache/test_embed.h"
#include "knowledge_cache/test_lexicon.h"

namespace pmt::knowledge_cache {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::Pair;

TEST(QuestionKeys, WithoutAnEmbedderThereAreNone) {
  QuestionKeys keys(nullptr, {.embedder = "", .path = ""});
  EXPECT_FALSE(keys.has_embedder());
  const auto space = keys.ensure_space();
  ASSERT_FALSE(space);
  EXPECT_EQ(space.error().code, base::Code::kUnavailable);
  EXPECT_EQ(keys.space(), nullptr);
}

TEST(QuestionKeys, AreCalibratedOnceAnEmbedder) {
  const fs::path path = fs::temp_directory_path() / fmt::format("pmt-question-keys-{}", getpid());
  fs::remove(path);
  std::size_t embedded = 0;
  QuestionKeys keys(test_embed(embedded), {.embedder = "words", .path = path.string()});
  EXPECT_EQ(keys.space(), nullptr) << "not before it is needed";
  const auto space = keys.ensure_space();
  ASSERT_TRUE(space) << space.error().message;
  EXPECT_GT(embedded, 0U);
  const std::size_t calibration = embedded;
  EXPECT_EQ(*keys.ensure_space(), *space);
  QuestionKeys later(test_embed(embedded), {.embedder = "words", .path = path.string()});
  ASSERT_TRUE(later.ensure_space());
  EXPECT_EQ(later.space()->id(), (*space)->id());
  EXPECT_EQ(embedded, calibration) << "it was kept";
  fs::remove(path);
}

TEST(QuestionKeys, AreMadeInPartsAndRemembered) {
  std::size_t embedded = 0;
  QuestionKeys keys(test_embed(embedded), {.embedder = "words", .path = ""});
  ASSERT_TRUE(keys.ensure_space());
  embedded = 0;
  std::vector<std::string> texts;
  for (int i = 0; i < 130; ++i) texts.push_back(fmt::format("What is number {} of this thing?", i));
  std::vector<std::pair<std::size_t, std::size_t>> seen;
  const auto made = keys.of(texts, [&](std::size_t done, std::size_t of) { seen.emplace_back(done, of); });
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_EQ(made->size(), texts.size());
  EXPECT_THAT(seen, ElementsAre(Pair(64, 130), Pair(128, 130), Pair(130, 130)));
  EXPECT_EQ(embedded, texts.size());
  EXPECT_EQ(*keys.of(texts, {}), *made);
  EXPECT_EQ(embedded, texts.size()) << "what was embedded lately isn't again";
}

TEST(QuestionKeys, ATextThatIsLeftOutIsAnError) {
  std::size_t embedded = 0;
  bool leaves_out = false;
  const Embed whole = test_embed(embedded);
  const Embed embed = [&](const std::vector<std::string>& texts) {
    auto rows = whole(texts);
    if (leaves_out) rows->resize(rows->size() - kTestWidth);
    return rows;
  };
  QuestionKeys keys(embed, {.embedder = "words", .path = ""});
  ASSERT_TRUE(keys.ensure_space());
  leaves_out = true;
  const auto made = keys.of({"Where is this thing?", "Who runs this thing?"}, {});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, base::Code::kInternal);
}

TEST(QuestionKeys, APackOfAnotherCalibrationKeepsItsPhrasings) {
  std::size_t embedded = 0;
  QuestionKeys keys(test_embed(embedded), {.embedder = "words", .path = ""});
  ASSERT_TRUE(keys.ensure_space());
  const Lexicon lexicon = test_lexicon();
  const auto one = test_slot("1", "Where is Zorvane Labs?", "Porto", lexicon);
  Slot other = *test_slot("2", "Where is Kelmari Labs?", "Rome", lexicon);
  other.phrasings = one->phrasings;
  const auto before = test_domain({one, std::make_shared<const Slot>(other)});
  const auto after = keys.rekeyed(before);
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ((*after)->origin().space, keys.space()->id());
  EXPECT_EQ((*after)->origin().version, before->origin().version);
  const Phrasings& phrasings = *(*after)->find("1")->phrasings;
  EXPECT_EQ(phrasings.asked, one->phrasings->asked);
  ASSERT_FALSE(phrasings.keys.empty());
  EXPECT_EQ(phrasings.keys[0].size(), kTestWidth);
  EXPECT_EQ((*after)->find("2")->phrasings.get(), &phrasings) << "what was shared is shared";
  EXPECT_TRUE(one->phrasings->keys.empty()) << "the domain that was given is as it was";
  EXPECT_EQ(*keys.rekeyed(*after), *after);
}

}  // namespace
}  // namespace pmt::knowledge_cache
