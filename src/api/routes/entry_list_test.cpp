#include "api/routes/entry_list.h"

#include <gtest/gtest.h>

namespace pmt::api {
namespace {

using nlohmann::json;

class EntryListTest : public testing::Test {
 protected:
  void put(const std::string& name, const std::string& text, response_cache::StoreOptions meta = {}) {
    clock_.advance(std::chrono::seconds(1));
    response_cache::RecordedAnswer answer;
    answer.events.emplace_back(llm::Delta{.choice = 0, .text = text, .logprobs = {}});
    answer.events.emplace_back(llm::Done{});
    ASSERT_TRUE(cache_.store(base::sha256(name), {answer}, std::move(meta)));
  }
  EntryList list(EntryListQuery query = {}) const { return list_entries(cache_, clock_, query); }

  base::FakeClock clock_;
  response_cache::ResponseCache cache_{{}, clock_};
};

TEST_F(EntryListTest, EntriesOfOneAnswerAreOneLine) {
  put("a", "Lima", {.question = "What is the capital of Peru?"});
  put("b", "Oslo");
  put("c", "Lima", {.question = "Peru's capital?"});
  EXPECT_EQ(list().lines, 3U) << "one each, unless they are folded";
  const EntryList both = list({.fold = true});
  EXPECT_EQ(both.entries, 3U);
  EXPECT_EQ(both.lines, 2U);
  ASSERT_EQ(both.items.size(), 2U);
  EXPECT_EQ(both.items[0]["question"], "Peru's capital?") << "the latest";
  EXPECT_EQ(both.items[0]["entries"], 2);
  ASSERT_EQ(both.items[0]["twins"].size(), 1U);
  EXPECT_EQ(both.items[0]["twins"][0]["question"], "What is the capital of Peru?");
  EXPECT_EQ(both.items[1]["preview"], "Oslo");
  EXPECT_TRUE(both.items[1]["twins"].empty());
}

TEST_F(EntryListTest, EachTellsWhatItSavedThoseWhoAsked) {
  put("a", "Lima", {.tokens = 7, .usd = 0.25});
  put("b", "Lima", {.tokens = 5, .usd = 1});
  const auto ask = [&](const char* name, response_cache::Asker asker) {
    ASSERT_TRUE(cache_.tiers().find(base::sha256(name), {.asker = asker}));
  };
  for (int i = 0; i < 2; ++i) ask("a", response_cache::Asker::kClient);
  ask("b", response_cache::Asker::kClient);
  ask("b", response_cache::Asker::kEngine);
  ask("b", response_cache::Asker::kNobody);
  const json line = list({.fold = true}).items.at(0);
  EXPECT_EQ(line["answer"], (json{{"hits", 3}, {"usd_saved", 1.5}})) << "of both entries, by clients alone";
  EXPECT_EQ(line["hits"], 1);
  EXPECT_EQ(line["twins"][0]["hits"], 2);
  EXPECT_EQ(line["twins"][0]["tokens_saved"], 14);
  EXPECT_EQ(line["twins"][0]["usd_saved"], 0.5);
  put("b", "Lima, again");
  EXPECT_EQ(list().items.at(0)["hits"], 0) << "another value was never asked for";
}

TEST_F(EntryListTest, AnswersOfTwoTenantsAreTwo) {
  put("a", "Lima", {.tenant = "a"});
  put("b", "Lima", {.tenant = "b"});
  EXPECT_EQ(list({.fold = true}).lines, 2U);
}

TEST_F(EntryListTest, PagesAndSearchesByQuestionAndAnswer) {
  for (int i = 0; i < 5; ++i)
    put(std::to_string(i), "answer " + std::to_string(i), {.question = "q" + std::to_string(i)});
  EXPECT_EQ(list({.page = 1, .page_size = 2}).items[0]["preview"], "answer 2");
  EXPECT_EQ(list({.page = 2, .page_size = 2}).items.size(), 1U);
  EXPECT_TRUE(list({.page = 3, .page_size = 2}).items.empty());
  EXPECT_EQ(list({.text = "Q3"}).lines, 1U);
  EXPECT_EQ(list({.text = "ANSWER 3"}).items[0]["question"], "q3");
}

}  // namespace
}  // namespace pmt::api
