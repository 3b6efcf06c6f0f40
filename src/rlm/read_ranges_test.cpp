#include "rlm/read_ranges.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::rlm {
namespace {

using nlohmann::json;

std::string words(std::uint32_t seed, std::size_t bytes) {
  std::mt19937 random(seed);
  std::string out;
  while (out.size() < bytes) {
    for (std::uint32_t i = 3 + random() % 7; i > 0; --i) out += static_cast<char>('a' + random() % 26);
    out += ' ';
  }
  out.resize(bytes);
  return out;
}

json range(std::size_t begin, std::size_t end) {
  return {{"begin", begin}, {"end", end}};
}

TEST(ReadRanges, AnyCutIsFoundWhereverItStandsInAPrompt) {
  const json context = words(1, 20'000);
  const auto& text = context.get_ref<const std::string&>();
  std::mt19937 random(2);
  for (int i = 0; i < 200; ++i) {
    const std::size_t begin = random() % 19'000, bytes = 70 + random() % 900;
    ReadRanges read(context);
    read.add(words(100 + static_cast<std::uint32_t>(i), random() % 300) + "|" + text.substr(begin, bytes) +
             "|" + words(7, random() % 300));
    EXPECT_EQ(read.told(), (json{{"bytes", bytes}, {"ranges", {range(begin, begin + bytes)}}})) << begin;
  }
}

TEST(ReadRanges, WhatTouchesIsOneAndNothingElseIsTold) {
  const json context = words(3, 5'000);
  const auto& text = context.get_ref<const std::string&>();
  ReadRanges read(context);
  EXPECT_EQ(read.told(), (json{{"bytes", 0}, {"ranges", json::array()}}));
  read.add("");
  read.add(words(4, 5'000));
  read.add(text.substr(100, 20));  // too short to say anything
  EXPECT_EQ(read.told().at("bytes"), 0);
  read.add(text.substr(1'000, 500));
  read.add(text.substr(1'500, 500) + "\n---\n" + text.substr(3'000, 100));
  read.add(text.substr(1'200, 500));
  EXPECT_EQ(read.told(), (json{{"bytes", 1'100}, {"ranges", {range(1'000, 2'000), range(3'000, 3'100)}}}));
}

TEST(ReadRanges, PartsAreNamed) {
  const json context = {words(5, 300), "", words(6, 300)};
  ReadRanges read(context);
  read.add("x" + context[2].get<std::string>().substr(40, 200));
  EXPECT_EQ(read.told().at("ranges"), (json{{{"part", 2}, {"begin", 40}, {"end", 240}}}));
}

TEST(ReadRanges, RepetitionsAndHugeContextsAreNoTrouble) {
  const json same = std::string(100'000, '\xE2');
  ReadRanges read(same);
  read.add(std::string(500'000, '\xE2'));
  EXPECT_LE(read.told().at("bytes"), 100'000);
  const json huge = std::string(ReadRanges::kContextBytesMax + 1, 'x');
  ReadRanges none(huge);
  none.add(std::string(100, 'x'));
  EXPECT_TRUE(none.told().is_null());
}

}  // namespace
}  // namespace pmt::rlm
