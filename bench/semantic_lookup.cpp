// Past the embedding a lookup takes the question apart for the veto, finds the nearest in the index, judges
// them, and looks the chosen one up in the cache: all of that is timed, with the classes that the server
// uses.
//
// 100,000 questions would take minutes to embed, so 2,000 that differ in their words are embedded, and every
// further vector lies between two of these at a random place, with a little noise, and has length 1: the
// index then holds what embeddings look like, which are no random directions: questions of one form lie in
// a cone with cosines of .2 to .7 between them. The texts are all different.
#include "bench/semantic_lookup.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/clock.h"
#include "inference/local_embedder.h"
#include "lab/measure.h"
#include "response_cache/semantic/semantic_matcher.h"
#include "text/question.h"

namespace pmt::bench {
using namespace lab;
namespace {

using response_cache::PackedVector;
using Vector = std::vector<float>;

constexpr std::size_t kSeeds = 2'000;
constexpr std::size_t kAsked = 1'000;
constexpr float kNoise = 0.25F;  // a rewording's distance: a cosine of about .97

std::string question(std::size_t i) {
  constexpr std::array kForms = {"How do I {} the {} {}?", "What is the best way to {} a {} {}?",
                                 "Why can't I {} my {} {}?", "Please tell me when to {} the {} {}"};
  constexpr std::array kVerbs = {"clean",   "repair", "sell",  "insure", "paint",  "register", "move",
                                 "replace", "test",   "store", "borrow", "return", "measure"};
  constexpr std::array kThings = {"bicycle",    "passport",     "kitchen sink", "guitar",
                                  "greenhouse", "car battery",  "tax form",     "dishwasher",
                                  "telescope",  "sailing boat", "garden fence"};
  constexpr std::array kPlaces = {"in winter",         "before the holidays", "without tools",
                                  "on a small budget", "after a flood",       "with children",
                                  "in the mountains",  "for the first time",  "by next week"};
  std::size_t rest = i;
  const auto pick = [&](const auto& words) {
    const char* const word = words[rest % words.size()];
    rest /= words.size();
    return word;
  };
  const char* const form = pick(kForms);
  const char* const verb = pick(kVerbs);
  const char* const thing = pick(kThings);
  const char* const place = pick(kPlaces);
  std::string text = fmt::format(fmt::runtime(form), verb, thing, place);
  if (rest > 0) text += fmt::format(" It is number {}.", rest);
  return text;
}

void to_length_one(Vector& v) {
  const float squares = std::inner_product(v.begin(), v.end(), v.begin(), 0.0F);
  for (float& x : v) x /= std::sqrt(squares);
}

class Maker {
 public:
  Maker(std::vector<Vector> real, unsigned seed) : real_(std::move(real)), random_(seed) {}

  Vector between() {
    const float share = std::uniform_real_distribution<float>()(random_);
    const Vector &a = pick(), &b = pick();
    Vector v(a.size());
    for (std::size_t i = 0; i < v.size(); ++i) v[i] = share * a[i] + (1 - share) * b[i];
    return near(v);
  }
  Vector near(Vector v) {
    std::normal_distribution<float> normal(0, kNoise / std::sqrt(static_cast<float>(v.size())));
    for (float& x : v) x += normal(random_);
    to_length_one(v);
    return v;
  }

 private:
  const Vector& pick() {
    return real_[std::uniform_int_distribution<std::size_t>(0, real_.size() - 1)(random_)];
  }

  std::vector<Vector> real_;
  std::mt19937 random_;
};

std::unique_ptr<inference::LocalEmbedder> embedder(const std::string& path, const base::Clock& clock) {
  return inference::LocalEmbedder::create({.name = "all-minilm-l6-v2", .path = path}, clock);
}

std::vector<Vector> embed_all(llm::Embedder& embedder, std::size_t count) {
  std::vector<llm::EmbedInput> inputs;
  for (std::size_t i = 0; i < count; ++i) inputs.push_back({.text = question(i)});
  const auto got = need(embedder.embed(std::move(inputs)));
  std::vector<Vector> out;
  for (std::size_t i = 0; i < count; ++i) {
    const auto row = got.values.begin() + static_cast<std::ptrdiff_t>(i * got.width);
    out.emplace_back(row, row + static_cast<std::ptrdiff_t>(got.width));
  }
  return out;
}

/// One scope of the tier, full.
class Scope {
 public:
  Scope(Maker& maker, std::size_t entries, const response_cache::Value& answer, const base::Clock& clock)
      : cache_({.bytes_max = 1ULL << 30}, clock), matcher_({}, rule_) {
    for (std::size_t i = 0; i < entries; ++i) {
      const auto key = base::sha256(question(i));
      need(cache_.store(key, answer, {.tokens = 10}));
      vectors_.push_back(maker.between());
      matcher_.add({}, key, text::question_of(question(i)), PackedVector::of(vectors_.back()));
    }
  }

  struct Lookup {
    double us = 0, cosine = 0;
    response_cache::Key found;
  };
  Lookup look_up(const std::string& text, const Vector& vector) {
    const Stopwatch watch;
    const auto match = matcher_.match({}, text::question_of(text), vector, 0.05);
    const auto entry = match.best ? cache_.tiers().peek(match.best->key) : nullptr;
    const double us = watch.seconds() * 1e6;
    if (match.best && entry == nullptr) fail("an entry of the index is not in the cache");
    return {us, match.nearest_cosine, match.best ? match.best->key : response_cache::Key{}};
  }
  const Vector& vector(std::size_t i) const { return vectors_[i]; }

 private:
  response_cache::ResponseCache cache_;
  response_cache::SemanticRule rule_;
  response_cache::SemanticMatcher matcher_;
  std::vector<Vector> vectors_;
};

}  // namespace

SemanticCost semantic_cost(const std::string& embedder_path, std::size_t entries,
                           const response_cache::Value& answer, unsigned seed) {
  spdlog::set_level(spdlog::level::warn);  // what the embedder says would stand among the JSON
  const base::SystemClock clock;
  SemanticCost cost;
  const auto model = embedder(embedder_path, clock);
  Maker maker(embed_all(*model, kSeeds), seed);
  for (std::size_t i = 0; i < kAsked; ++i) {
    const Stopwatch watch;
    need(model->embed(question(kSeeds + i)));
    cost.embed_us.push_back(watch.seconds() * 1e6);
  }
  Scope scope(maker, entries, answer, clock);
  std::mt19937 random(seed + 1);
  std::uniform_int_distribution<std::size_t> any(0, entries - 1);
  for (std::size_t i = 0; i < kAsked; ++i) {
    const std::size_t wanted = any(random);
    const auto hit = scope.look_up(question(wanted), maker.near(scope.vector(wanted)));
    const auto miss = scope.look_up(question(entries + i), maker.between());
    cost.hit_us.push_back(hit.us);
    cost.miss_us.push_back(miss.us);
    cost.found += hit.found == base::sha256(question(wanted)) ? 1.0 / kAsked : 0;
    cost.nearest_hit += hit.cosine / kAsked;
    cost.nearest_miss += miss.cosine / kAsked;
  }
  for (auto* const times : {&cost.embed_us, &cost.hit_us, &cost.miss_us})
    std::sort(times->begin(), times->end());
  return cost;
}

}  // namespace pmt::bench
