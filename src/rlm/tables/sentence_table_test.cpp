#include <gmock/gmock.h>

#include <random>

#include "rlm/tables/sentence_table.h"
#include "rlm/tables/table_planner.h"
#include "rlm/tables/test_tables.h"
#include "rlm/test_texts.h"

namespace pmt::rlm {
namespace {

std::vector<std::string> rows_of(TableSource& source) {
  std::vector<std::string> rows;
  Watch watch;
  EXPECT_TRUE(source.read(watch, [&](std::size_t, std::span<const RawCell> row) -> base::Status {
    std::string line;
    for (const RawCell& cell : row)
      line += "|" + source.tables()[0].columns[cell.column] + "=" + std::string(cell.text);
    rows.push_back(line);
    return {};
  }));
  return rows;
}

const std::vector<std::string> kSkippers = {"Ann Chen", "Bo", "Farid El Din", "Cy"};
const std::vector<std::string> kCargoes = {"salt", "coal", "wool"};
const std::vector<std::string> kRemarks = {"it rained on the quay, and on us", "nothing of note",
                                           "the pilot came late", "fog; then the sun"};

/// Of so many ships, in sentences.
std::string ships(int n, const std::string& between = "") {
  std::string text = "The harbour's book of arrivals, one ship a line.\n";
  for (int i = 0; i < n; ++i) {
    const auto one = [&](const std::vector<std::string>& all, int step) {
      return all[static_cast<std::size_t>(i / step) % all.size()];
    };
    text +=
        fmt::format("{} brought a ship of {} masts in on {} March 2026, loaded with {} ({}).\n{}",
                    one(kSkippers, 1), 1 + i % 3, 1 + i % 28, one(kCargoes, 2), one(kRemarks, 1), between);
  }
  return text;
}

TEST(SentenceTable, WhatEveryLineSaysIsTheFrameAndTheRestAreColumns) {
  const std::string text = ships(40);
  const auto source = recognise_tables(text);
  ASSERT_NE(source, nullptr);
  EXPECT_EQ(source->shape(), kSentenceShape);
  const auto rows = rows_of(*source);
  EXPECT_EQ(rows.size(), 40U);
  EXPECT_EQ(source->left_out(), 1) << "the heading";
  EXPECT_EQ(rows.at(0),
            "|subject=Ann Chen|masts=1|date=1 March 2026|loaded=salt|part=it rained on the quay, and on us");
  EXPECT_EQ(rows.at(2),
            "|subject=Farid El Din|masts=3|date=3 March 2026|loaded=coal|part=the pilot came late");
  EXPECT_EQ(rows, rows_of(*source)) << "as often as wanted";
}

TEST(SentenceTable, FieldsWithTheirNamesInEveryLine) {
  std::string text;
  for (int i = 0; i < 20; ++i)
    text += fmt::format("Date: {} May 2025 || User: u{} || Text: {} {}? || Kind: {}\n", 1 + i, i % 4,
                        i % 2 == 0 ? "Where is" : "Is it", i, i % 3 == 0 ? "query" : "note");
  const auto source = recognise_tables(text);
  ASSERT_NE(source, nullptr);
  EXPECT_EQ(rows_of(*source).at(3), "|date=4 May 2025|User=u3|Text=Is it 3|Kind=query")
      << "the sign is in every line";
}

TEST(SentenceTable, ADayBesideANameIsAColumnOfItsOwn) {
  std::string text;
  for (int i = 0; i < 20; ++i)
    text += fmt::format("On {} {} 2026 {} sold {} eggs.\n", 1 + i, i % 3 == 0 ? "May" : "June",
                        i % 2 == 0 ? "Ann Chen" : "Bo", 6 + i);
  const auto source = recognise_tables(text);
  ASSERT_NE(source, nullptr);
  EXPECT_EQ(rows_of(*source).at(2), "|date=3 June 2026|part=Ann Chen|sold=8");
}

TEST(SentenceTable, OtherTextsAreNone) {
  EXPECT_EQ(sentence_table(ships(8)), nullptr) << "a few lines may be anything";
  EXPECT_EQ(sentence_table(ships(40, "Then the harbour was quiet for a while, and nobody wrote.\n")), nullptr)
      << "half of the lines";
  std::string prose, alike;
  std::mt19937 random(1);
  const std::vector<std::string> words = {"the", "sea",   "was",  "a",  "calm", ",",
                                          "and", "gulls", "over", "it", "cried"};
  for (int i = 0; i < 200; ++i) {
    for (int w = 0; w < 14; ++w) prose += words[random() % words.size()] + " ";
    prose += ".\n";
    alike += fmt::format("{} and the {}.\n", words[random() % words.size()], words[random() % words.size()]);
  }
  EXPECT_EQ(sentence_table(prose), nullptr);
  EXPECT_EQ(sentence_table(alike), nullptr) << "words that are in any text";
  EXPECT_EQ(sentence_table(std::string(100'000, 'x')), nullptr);
  EXPECT_EQ(sentence_table(""), nullptr);
}

/// The answer's rows of the query that a program makes; "": it makes none.
std::string planned(const std::string& question) {
  LoadedText loaded(ships(40), question);
  const auto sql = planned_select(loaded.table(), loaded.question, loaded.linked);
  return sql ? loaded.first(*sql) : "";
}

TEST(SentenceTable, IsCountedAndRankedWithoutAModel) {
  EXPECT_EQ(planned("How many ships were loaded with wool?"), "12");
  EXPECT_EQ(planned("How many ships are of Ann Chen?"), "10");
  EXPECT_EQ(planned("How many ships of Farid El Din were loaded with coal?"), "4");
  EXPECT_EQ(planned("Which is more common among the ships: wool or salt?"), "salt");
  EXPECT_EQ(planned("Which of these is least common: salt, coal, wool?"), "wool");
  EXPECT_EQ(planned("How many ships are of Chen?"), "") << "a part of a name is none of the values";
  EXPECT_EQ(planned("Which ship was the least loved?"), "");
}

TEST(SentenceTable, IsReadInLinearTime) {
  for (const char* kind : kTextKinds) {
    expect_linear(kind, [](const std::string& text) {
      Watch watch;
      const auto source = sentence_table(text);
      if (source == nullptr) return;
      EXPECT_TRUE(source->read(watch, [](std::size_t, std::span<const RawCell>) { return base::Status(); }));
    });
  }
}

}  // namespace
}  // namespace pmt::rlm
