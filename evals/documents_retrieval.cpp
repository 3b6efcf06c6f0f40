#include "evals/documents_retrieval.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "text/bm25.h"
#include "text/passages.h"

namespace pmt::evals {
namespace {

constexpr std::size_t kShownMax = 3;
/// As knowledge_cache/documents has them.
constexpr double kServedBeside = 0.6, kServedNearness = 0.7;

struct Passage {
  const std::string* document = nullptr;
  std::size_t begin = 0, end = 0;
  std::string text;
};

/// Of one question, each passage's score. `covered`: of its weight, what the passage holds.
struct Scores {
  std::vector<double> words, covered, nearness;
};

std::vector<Passage> passages_of(const DocumentWorld& world) {
  std::vector<Passage> out;
  for (const auto& [name, text] : world.documents) {
    for (const text::Passage& one : text::passages_of(text))
      out.push_back({&name, one.begin, one.end, one.headings + text.substr(one.begin, one.end - one.begin)});
  }
  return out;
}

/// Each one's place, from 0.
std::vector<double> places_of(const std::vector<double>& scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::vector<double> places(scores.size());
  for (std::size_t i = 0; i < order.size(); ++i) places[order[i]] = static_cast<double>(i);
  return places;
}

struct Ranking {
  std::string name;
  std::function<std::vector<double>(const Scores&)> scores;
};

std::vector<double> mixed(const Scores& of, double share) {
  const double best = std::max(1e-9, *std::ranges::max_element(of.words));
  std::vector<double> out(of.words.size());
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = (1 - share) * of.words[i] / best + share * of.nearness[i];
  return out;
}

std::vector<Ranking> rankings(bool embeds) {
  std::vector<Ranking> out{{"words (BM25)", [](const Scores& of) { return of.words; }}};
  if (!embeds) return out;
  out.push_back({"embedding alone", [](const Scores& of) { return of.nearness; }});
  out.push_back({"both, by reciprocal places", [](const Scores& of) {
                   constexpr double kDamping = 60;  // as published (Cormack et al. 2009)
                   const auto words = places_of(of.words), near = places_of(of.nearness);
                   std::vector<double> sum(words.size());
                   for (std::size_t i = 0; i < sum.size(); ++i)
                     sum[i] = 1 / (kDamping + words[i]) + 1 / (kDamping + near[i]);
                   return sum;
                 }});
  out.push_back({"as served: of those that fit by words the nearest", [](const Scores& of) {
                   std::vector<double> sum = mixed(of, kServedNearness);
                   const double best = *std::ranges::max_element(of.words);
                   for (std::size_t i = 0; i < sum.size(); ++i) {
                     if (of.words[i] < kServedBeside * best)
                       sum[i] = of.words[i] / best - 2;  // behind all of those
                   }
                   return sum;
                 }});
  for (const double share : {0.3, 0.5, 0.7}) {
    out.push_back({fmt::format("both, nearness weighs {:.1f}", share),
                   [share](const Scores& of) { return mixed(of, share); }});
  }
  return out;
}

Scores scores_of(const std::string& question, const text::Bm25& index, const std::vector<float>& asked,
                 const std::vector<std::vector<float>>& vectors) {
  Scores out{.words = std::vector<double>(index.size()),
             .covered = std::vector<double>(index.size()),
             .nearness = {}};
  for (const text::Bm25::Hit& hit : index.search(question, index.size()))
    out.words[hit.passage] = hit.score, out.covered[hit.passage] = hit.covered;
  for (const auto& vector : vectors)
    out.nearness.push_back(std::inner_product(vector.begin(), vector.end(), asked.begin(), 0.0));
  return out;
}

struct Counted {
  double first = 0, among = 0, low_first = 0, low_n = 0;
};

}  // namespace

void add_retrieval(const DocumentWorld& world, const EmbedTexts& embed, lab::Result& result) {
  const std::vector<Passage> passages = passages_of(world);
  text::Bm25 index;
  std::vector<std::string> texts, questions;
  for (const Passage& one : passages) index.add(one.text), texts.push_back(one.text);
  for (const DocumentItem& item : world.items) questions.push_back(item.question);
  std::vector<std::vector<float>> vectors, asked(questions.size());
  if (embed) vectors = embed(texts), asked = embed(questions);
  const auto all = rankings(static_cast<bool>(embed));
  std::vector<Counted> counted(all.size());
  for (std::size_t q = 0; q < world.items.size(); ++q) {
    const DocumentItem& item = world.items[q];
    const Scores scores = scores_of(item.question, index, asked[q], vectors);
    const bool low = *std::ranges::max_element(scores.covered) < 0.5;  // nothing would be shown
    for (std::size_t r = 0; r < all.size(); ++r) {
      const auto places = places_of(all[r].scores(scores));
      double place = 1e9;
      for (std::size_t p = 0; p < passages.size(); ++p) {
        const bool right = *passages[p].document == item.document && passages[p].begin < item.end &&
                           item.begin < passages[p].end;
        if (right) place = std::min(place, places[p]);
      }
      counted[r].first += place == 0 ? 1 : 0;
      counted[r].among += place < kShownMax ? 1 : 0;
      counted[r].low_n += low ? 1 : 0, counted[r].low_first += low && place == 0 ? 1 : 0;
    }
  }
  const auto n = static_cast<double>(world.items.size());
  for (std::size_t r = 0; r < all.size(); ++r) {
    const auto [low, high] = lab::wilson(counted[r].first, n);
    result.rows.push_back({{"set", world.items.at(0).set},
                           {"ranking", all[r].name},
                           {"questions", n},
                           {"passages", passages.size()},
                           {"right first", std::round(1e3 * counted[r].first / n) / 1e3},
                           {"ci95", fmt::format("{:.3f}-{:.3f}", low, high)},
                           {"among three", std::round(1e3 * counted[r].among / n) / 1e3},
                           {"little covered", counted[r].low_n},
                           {"of those right first", counted[r].low_first}});
  }
}

}  // namespace pmt::evals
