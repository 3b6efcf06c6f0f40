#include "compression/calibration_texts.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <string>

#include <fmt/format.h>

#include "compression/asides.h"

namespace pmt::compression {
namespace {

constexpr std::size_t kTextTokens = 960;  // joined pieces have at most so many, and at least one piece
constexpr std::size_t kTokensAFact = 180;
constexpr std::size_t kFactFreeEnds = 20;  // tokens
constexpr unsigned kFactsSeed = 5;

/// Parameters times tokens of a piece: what of the 14 pieces' three passes a minute of two cores has room for.
constexpr std::int64_t kWork = 300'000'000'000;
constexpr std::int64_t kPieceTokensMin = 192, kPieceTokensMax = 896;

/// One piece each: prose of several kinds, speech, lists, tables, code.
const char* const kLeadIns[] = {
    "The history of the harbour begins with a small fishing village. In the early years,",
    "\"I never meant to leave,\" she said, and put the letter on the table.",
    "Minutes of the meeting. Present: the chair, the treasurer and eleven members. First,",
    "Chapter 3. How plants store energy\n\nPlants make sugar from light, water and air. This",
    "def read_config(path):\n    \"\"\"Read the settings of the service from a file.\"\"\"\n",
    "Dear all, here is the plan for the week. On Monday",
    "The company announced on Tuesday that its new factory will employ",
    "How to repair a bicycle tyre\n\n1. Turn the bicycle over.\n2.",
    "Anna: Did you see the match last night?\nBen:",
    "The treaty was signed after two years of talks. Its first article",
    "Name, town, year of birth\nMaria Lund, Bergen, 1961\n",
    "Patients who took part in the study were asked to",
    "The old man walked down to the river every morning, because",
    "Our terms of service. By using this website you agree that"};

const char* const kFacts[] = {" The number of the {} is {}.",   " Call the {} at {}.",
                              " The {} opened in {}.",          " Item {1} belongs to the {0}.",
                              " The password of the {} is {}.", " {2} looks after the {0}.",
                              " The {0} is on {2} Street.",     " A day at the {0} costs {1} dollars.",
                              " Ask {2} about the {0}."};
const char* const kThings[] = {"north gallery", "blue team",   "Orion office", "ferry terminal",
                               "Becker family", "old archive", "main gate",    "tennis club"};
const char* const kNames[] = {"Marguerite", "Okafor", "Lindqvist", "Tanaka", "Delgado", "Whitcombe"};

void plant_facts(Tokens& text, const model::Vocab& vocab, std::mt19937& rng) {
  for (std::size_t left = text.size() / kTokensAFact; left > 0; --left) {
    const auto fact = vocab.tokenize(
        fmt::format(fmt::runtime(kFacts[rng() % std::size(kFacts)]), kThings[rng() % std::size(kThings)],
                    100 + rng() % 99900, kNames[rng() % std::size(kNames)]),
        {.add_special = false});
    const auto at = static_cast<std::ptrdiff_t>(kFactFreeEnds + rng() % (text.size() - 2 * kFactFreeEnds));
    text.insert(text.begin() + at, fact.begin(), fact.end());
  }
}

}  // namespace

int piece_tokens_for(std::int64_t parameters) {
  const std::int64_t tokens =
      std::clamp(kWork / std::max<std::int64_t>(1, parameters), kPieceTokensMin, kPieceTokensMax);
  return static_cast<int>(tokens / kStretchTokens * kStretchTokens);
}

std::vector<Tokens> lead_ins(const model::Vocab& vocab) {
  std::vector<Tokens> out;
  for (const char* lead : kLeadIns) {
    const bool in_turn = out.size() / 2 % 2 == 1 && knows_chat_turns(vocab);
    const std::string turn = in_turn ? "<|im_start|>user\n" : "";
    out.push_back(vocab.tokenize(turn + lead, {.add_special = true, .parse_special = true}));
  }
  return out;
}

std::vector<Tokens> texts_of(const std::vector<Tokens>& pieces, const model::Vocab& vocab) {
  const auto longest = std::max_element(pieces.begin(), pieces.end(),
                                        [](const Tokens& a, const Tokens& b) { return a.size() < b.size(); });
  const std::size_t in_one = std::max<std::size_t>(1, kTextTokens / longest->size());
  const std::size_t count = (pieces.size() + in_one - 1) / in_one;
  const Tokens gap = vocab.tokenize("\n\n", {.add_special = false});
  std::vector<Tokens> texts(count);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    Tokens& text = texts[i % count];
    auto from = pieces[i].begin();
    if (!text.empty()) {
      if (vocab.adds_bos() && vocab.bos() && *from == *vocab.bos()) ++from;
      text.insert(text.end(), gap.begin(), gap.end());
    }
    text.insert(text.end(), from, pieces[i].end());
  }
  std::mt19937 rng(kFactsSeed);
  for (Tokens& text : texts) plant_facts(text, vocab, rng);
  return texts;
}

}  // namespace pmt::compression
