#include "knowledge_cache/gate/sighting.h"

#include <gtest/gtest.h>

#include "knowledge_cache/test_lexicon.h"

namespace pmt::knowledge_cache {
namespace {

class Sightings : public testing::Test {
 protected:
  Sightings()
      : domains_{test_domain({test_slot("1", "What is the line of Zorvane Labs?", "1", lexicon_),
                              test_slot("2", "What is the price of the Velsaska kettle?", "2", lexicon_),
                              test_slot("3", "Where was Anna Brunolo born?", "3", lexicon_),
                              test_slot("4", "Where was Otto Brunolo born?", "4", lexicon_)})} {}

  /// The ids of what is seen, joined.
  std::string seen(const std::string& text) const {
    std::string out;
    for (const Sighting& s : find_sightings(text::words_of(text), domains_, lexicon_)) {
      const Domain& domain = *domains_[s.domain];
      out += domain.slots()[domain.things()[s.thing].slots[0]]->fact.id;
    }
    return out;
  }

  const Lexicon lexicon_ = test_lexicon();
  const Domains domains_;
};

TEST_F(Sightings, NamesInTheirForms) {
  EXPECT_EQ(seen("Where is Zorvane Labs?"), "1");
  EXPECT_EQ(seen("where is zorvane labs based"), "1");
  EXPECT_EQ(seen("Zorvane Labs's address, please"), "1");
  EXPECT_EQ(seen("Where is Zorvane based?"), "1");
  EXPECT_EQ(seen("How heavy is a Velsaska kettle?"), "2");
  EXPECT_EQ(seen("How heavy is the Velsaska?"), "2");
  EXPECT_EQ(seen("Is Anna Brunolo older than Otto Brunolo?"), "34");
}

TEST_F(Sightings, OneLetterWrong) {
  EXPECT_EQ(seen("Where is Zorvene Labs?"), "1");
  EXPECT_EQ(seen("Where is Zorvane Lbas?"), "1");
  EXPECT_EQ(seen("Where is Zirvene Labs?"), "");
}

TEST_F(Sightings, SiblingsAndStrangersAreNot) {
  EXPECT_EQ(seen("Where is Zorvane Foods?"), "");
  EXPECT_EQ(seen("where is zorvane foods based"), "");
  EXPECT_EQ(seen("Where are the Kelmari Labs?"), "");
  EXPECT_EQ(seen("How heavy is the Velsaska drill?"), "");
  EXPECT_EQ(seen("How heavy is the kettle?"), "");
  EXPECT_EQ(seen("Where was Tamrix Brunolo born?"), "");
  EXPECT_EQ(seen("Where is New Zorvane Labs?"), "");
}

TEST_F(Sightings, WhatCouldBeTwoIsNeither) {
  EXPECT_EQ(seen("Where was Brunolo born?"), "");
}

}  // namespace
}  // namespace pmt::knowledge_cache
