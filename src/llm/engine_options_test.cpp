#include "llm/engine_options.h"

#include <gtest/gtest.h>

#include <string>

namespace pmt::llm {
namespace {

struct Zeal {
  static constexpr std::string_view kName = "zeal";
  int turns = 1;
  bool quiet = false;  // no part of the answer
  nlohmann::json key() const { return {{"turns", turns}}; }
  friend bool operator==(const Zeal&, const Zeal&) = default;
};

struct Ants {
  static constexpr std::string_view kName = "ants";
  std::string text;
  nlohmann::json key() const { return {{"text", text}}; }
  friend bool operator==(const Ants&, const Ants&) = default;
};

std::string keys_of(const EngineOptions& options) {
  std::string out;
  for (const EngineKey& one : options.keys()) out.append(one.engine).append(one.taken.dump());
  return out;
}

TEST(EngineOptions, EachTypeHasItsOwnValue) {
  EngineOptions options;
  EXPECT_EQ(options.get<Zeal>(), Zeal{}) << "nothing was asked: the defaults";
  options.set(Zeal{.turns = 3});
  options.set(Ants{.text = "six"});
  EXPECT_EQ(options.get<Zeal>().turns, 3);
  EXPECT_EQ(options.get<Ants>().text, "six");
  options.set(Zeal{.turns = 4});
  EXPECT_EQ(options.get<Zeal>().turns, 4) << "the second value replaces the first";
  EXPECT_EQ(options.get<Ants>().text, "six");
}

/// What nobody's answer depends on.
struct Watched {
  static constexpr std::string_view kName = "watched";
  int by = 0;
  nlohmann::json key() const { return nullptr; }
  friend bool operator==(const Watched&, const Watched&) = default;
};

TEST(EngineOptions, WhatHasNoKeyIsInNone) {
  EngineOptions options;
  options.set(Zeal{.turns = 3});
  const std::string before = keys_of(options);
  options.set(Watched{.by = 1});
  EXPECT_EQ(keys_of(options), before);
  EXPECT_EQ(options.get<Watched>().by, 1);
}

TEST(EngineOptions, ACopyIsItsOwn) {
  EngineOptions options;
  options.set(Zeal{.turns = 3});
  EngineOptions copy = options;
  EXPECT_EQ(copy, options);
  copy.set(Zeal{.turns = 4});
  EXPECT_EQ(options.get<Zeal>().turns, 3);
  EXPECT_NE(copy, options);
}

TEST(EngineOptions, EqualityIsOfAllValuesWhateverTheirOrder) {
  EngineOptions a, b;
  a.set(Zeal{.turns = 3});
  a.set(Ants{.text = "six"});
  b.set(Ants{.text = "six"});
  EXPECT_NE(a, b);
  b.set(Zeal{.turns = 3});
  EXPECT_EQ(a, b);
  b.set(Zeal{.turns = 3, .quiet = true});
  EXPECT_NE(a, b);
}

TEST(EngineOptions, TakingMovesTheValueOut) {
  EngineOptions options;
  options.set(Zeal{.turns = 3});
  options.set(Ants{.text = "six"});
  EXPECT_EQ(options.take<Ants>().text, "six");
  EXPECT_EQ(options.get<Ants>().text, "");
  EXPECT_EQ(options.take<Ants>(), Ants{});
  EXPECT_EQ(options.get<Zeal>().turns, 3);
}

TEST(EngineOptions, KeysStandInTheOrderOfNamesAndHoldWhatTheirEnginesSay) {
  EngineOptions options;
  EXPECT_EQ(keys_of(options), "");
  options.set(Zeal{.turns = 3, .quiet = true});
  options.set(Ants{.text = "six"});
  EXPECT_EQ(keys_of(options), R"(ants{"text":"six"}zeal{"turns":3})");
}

TEST(EngineOptions, AValueLikeTheDefaultIsNone) {
  EngineOptions options;
  options.set(Zeal{.turns = 3});
  options.set(Zeal{});
  EXPECT_EQ(options, EngineOptions{});
  EXPECT_EQ(keys_of(options), "");
}

}  // namespace
}  // namespace pmt::llm
