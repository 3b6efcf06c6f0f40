// ./dev eval semantic [--data DIR] [--fit]: what the response cache's semantic tier serves, and how much of
// it is wrong, beside a static threshold and vCache's rule.
//
// Each set is a stream of questions of which it is known whether their answers are the same. Its answers are
// split in two halves at random, --splits times. One half passes in shadow mode: nothing is served, the rule
// learns. Then the cache is emptied, the other half passes, and what is served in it is reported; then the
// same the other way round. So what was learnt from and what is reported have no answer in common, and a
// question can be served only by another wording of it within its half.
//
// hit_rate: served / requests. error_rate: wrong / served, the stricter of the two definitions in use. Both
// over all passes; the intervals are Wilson's for as many questions as one split has, since every split asks
// the same ones. held: the passes, of `passes`, in each of which error_rate was within error_max.
// static: the one threshold with the most hits of those whose error_rate over all passes is within error_max,
// chosen in hindsight, which no operator can. learnt_static: for each pass the threshold that the learning
// half gives by the same bound as ours. vCache: its published rule (arXiv 2502.03771: a sigmoid over the
// cosine for each entry, at least 6 labels), over both halves in a row, in the first split; its table of
// variances for separable labels is taken as .21 / n. It bounds wrong / requests, which is shown too.
// untuned: ours without having learnt from the other half.
// Then the pairs of ours (question_pairs.h): a question is cached, the other of the pair is asked. By kind: how many of
// those that are other questions were served (each is wrong), and of those that are the same; by the shipped rule, and
// by one that learnt from the sets above. "told apart": by the words alone, whatever the rule says.
// --pairs: only these. --vectors FILE keeps the embeddings there for the next run: most of the time goes into them.
// --fit prints the coefficients that the first halves of all sets give, for semantic_rule.cpp.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "evals/question_pairs.h"
#include "evals/semantic_sets.h"
#include "inference/local_embedder.h"
#include "lab/measure.h"
#include "response_cache/semantic/semantic_matcher.h"
#include "response_cache/semantic/semantic_tier.h"

namespace pmt::evals {
using namespace lab;
namespace {

using response_cache::Match;
using response_cache::PackedVector;
using response_cache::SemanticMatcher;

constexpr unsigned kSeed = 20261124;
constexpr std::size_t kWidth = 384;

struct Half {
  std::vector<Question> questions;
  std::vector<float> vectors;  // [questions, kWidth]
  std::vector<float> cosines;  // [questions, questions]

  std::span<const float> vector(std::size_t i) const { return {vectors.data() + i * kWidth, kWidth}; }
  float cosine(std::size_t i, std::size_t j) const { return cosines[i * questions.size() + j]; }
};

struct Served {
  std::size_t requests = 0, hits = 0, wrong = 0;
  Served& operator+=(const Served& other) {
    requests += other.requests;
    hits += other.hits;
    wrong += other.wrong;
    return *this;
  }
  double hit_rate() const {
    return requests == 0 ? 0 : static_cast<double>(hits) / static_cast<double>(requests);
  }
  double error_rate() const { return hits == 0 ? 0 : static_cast<double>(wrong) / static_cast<double>(hits); }
};

/// Embeddings by text, kept in a file between runs if one is named: records of a text's SHA-256 and its
/// vector.
class Vectors {
 public:
  Vectors(llm::Embedder& embedder, const std::string& path) : embedder_(embedder), path_(path) {
    std::ifstream in(path_, std::ios::binary);
    base::Digest key;
    std::vector<float> row(kWidth);
    while (!path_.empty() && in.read(reinterpret_cast<char*>(key.bytes.data()), sizeof key.bytes) &&
           in.read(reinterpret_cast<char*>(row.data()), kWidth * sizeof(float))) {
      known_[key] = row;
    }
  }

  base::Result<std::vector<float>> of(const std::vector<Question>& questions) {
    std::vector<llm::EmbedInput> inputs;
    std::vector<base::Digest> keys;
    const auto embed = [&]() -> base::Status {
      if (inputs.empty()) return {};
      TRY_ASSIGN(const llm::Embeddings got, embedder_.embed(std::move(inputs)));
      std::ofstream out(path_, std::ios::binary | std::ios::app);
      for (std::size_t i = 0; i < keys.size(); ++i) {
        const float* const row = got.values.data() + i * kWidth;
        known_[keys[i]].assign(row, row + kWidth);
        out.write(reinterpret_cast<const char*>(keys[i].bytes.data()), sizeof keys[i].bytes);
        out.write(reinterpret_cast<const char*>(row), kWidth * sizeof(float));
      }
      inputs.clear();
      keys.clear();
      return {};
    };
    for (const Question& question : questions) {
      const auto key = base::sha256(question.text);
      if (known_.contains(key)) continue;
      inputs.push_back({.text = question.text});
      keys.push_back(key);
      if (inputs.size() == 256) TRY(embed());
    }
    TRY(embed());
    std::vector<float> out;
    for (const Question& question : questions) {
      const auto& row = known_.at(base::sha256(question.text));
      out.insert(out.end(), row.begin(), row.end());
    }
    return out;
  }

 private:
  llm::Embedder& embedder_;
  const std::string path_;
  std::map<base::Digest, std::vector<float>> known_;
};

/// All of a group in one half, which one by the split's coin.
base::Result<std::vector<Half>> halves_of(const QuestionSet& set, Vectors& vectors, unsigned split_seed) {
  std::vector<Half> halves(2);
  std::mt19937 random(split_seed);
  std::map<int, std::size_t> half_of;
  for (const Question& q : set.questions) {
    const auto [side, is_new] = half_of.try_emplace(q.group, 0);
    if (is_new) side->second = random() % 2;
    halves[side->second].questions.push_back(q);
  }
  for (Half& half : halves) {
    TRY_ASSIGN(half.vectors, vectors.of(half.questions));
    const std::size_t n = half.questions.size();
    half.cosines.resize(n * n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        float sum = 0;
        for (std::size_t k = 0; k < kWidth; ++k)
          sum += half.vectors[i * kWidth + k] * half.vectors[j * kWidth + k];
        half.cosines[i * n + j] = half.cosines[j * n + i] = sum;
      }
    }
  }
  return halves;
}

struct Pass {
  double error_max = 0;
  bool shadow = false;
  unsigned seed = 0;
};

/// One half through the product's own matcher, an empty cache first. `rule_of` is kept: what it learnt stays.
Served through(const Half& half, response_cache::SemanticRule& rule, Pass pass) {
  SemanticMatcher matcher({}, rule);
  std::mt19937 random(pass.seed);
  std::uniform_real_distribution<double> uniform;
  const response_cache::Scope scope{};
  std::map<response_cache::Key, std::size_t> index_of;
  Served served;
  for (std::size_t i = 0; i < half.questions.size(); ++i) {
    const Question& question = half.questions[i];
    const auto facts = text::question_of(question.text);
    const Match match = matcher.match(scope, facts, half.vector(i), pass.error_max);
    ++served.requests;
    std::uint64_t same = 0;
    if (match.best) {
      const bool agree = half.questions[index_of.at(match.best->key)].answer == question.answer;
      const bool would = match.best->judgement.serve();
      if (would && !pass.shadow && uniform(random) >= response_cache::kExploredShare) {
        ++served.hits;
        served.wrong += agree ? 0 : 1;
        continue;
      }
      matcher.learn(*match.best, agree);
      if (agree) same = match.best->id;
    }
    const auto key = base::sha256(question.text);
    index_of[key] = i;
    matcher.add(scope, key, facts, PackedVector::of(half.vector(i)), same);
  }
  return served;
}

Served static_threshold(const Half& half, double threshold) {
  Served served;
  std::vector<std::size_t> cached;
  for (std::size_t i = 0; i < half.questions.size(); ++i) {
    ++served.requests;
    std::size_t best = i;
    float cosine = -1;
    for (const std::size_t j : cached) {
      if (half.cosine(i, j) <= cosine) continue;
      cosine = half.cosine(i, j);
      best = j;
    }
    if (cosine >= threshold) {
      ++served.hits;
      served.wrong += half.questions[best].answer == half.questions[i].answer ? 0 : 1;
    } else {
      cached.push_back(i);
    }
  }
  return served;
}

constexpr std::size_t kThresholds = 120;

double threshold_at(std::size_t i) {
  return 0.4 + 0.005 * static_cast<double>(i);
}

using StaticServed = std::array<Served, kThresholds>;

StaticServed all_thresholds(const Half& half) {
  StaticServed served;
  for (std::size_t i = 0; i < kThresholds; ++i) served[i] = static_threshold(half, threshold_at(i));
  return served;
}

/// The one with the most hits of those that `holds` accepts; none: kThresholds.
template <typename Holds>
std::size_t most_hits(const StaticServed& served, const Holds& holds) {
  std::size_t best = kThresholds;
  for (std::size_t i = 0; i < kThresholds; ++i) {
    if (holds(served[i]) && (best == kThresholds || served[i].hits > served[best].hits)) best = i;
  }
  return best;
}

/// vCache's rule for one entry.
struct VCacheEntry {
  std::vector<std::pair<double, bool>> seen;  // cosine, agreed

  /// The chance with which it explores at cosine `s`.
  double explores(double s, double error_max) const {
    const auto right = std::count_if(seen.begin(), seen.end(), [](const auto& o) { return o.second; });
    if (seen.size() < 6 || right == 0 || right == static_cast<std::ptrdiff_t>(seen.size())) return 1;
    double a = 0, b = 1, haa = 0, hab = 0, hbb = 0;  // p = sigmoid(a + b s)
    for (int round = 0; round < 60; ++round) {
      double ga = -1e-6 * a, gb = -1e-6 * b;
      haa = hbb = 1e-6;
      hab = 0;
      for (const auto& [x, y] : seen) {
        const double p = 1 / (1 + std::exp(-std::clamp(a + b * x, -30.0, 30.0)));
        ga += (y ? 1 : 0) - p;
        gb += ((y ? 1 : 0) - p) * x;
        haa += p * (1 - p);
        hab += p * (1 - p) * x;
        hbb += p * (1 - p) * x * x;
      }
      const double det = haa * hbb - hab * hab;
      if (det < 1e-12) break;
      a += (hbb * ga - hab * gb) / det;
      b += (haa * gb - hab * ga) / det;
    }
    const double gamma = std::max(b, 1e-6), t = std::clamp(-a / gamma, 0.0, 1.0);
    double least_right = 2, most_wrong = -2;
    for (const auto& [x, y] : seen)
      (y ? least_right : most_wrong) = y ? std::min(least_right, x) : std::max(most_wrong, x);
    double variance = 0.21 / static_cast<double>(seen.size());
    if (least_right <= most_wrong) {
      const double det = std::max(haa * hbb - hab * hab, 1e-12), da = -1 / gamma, db = a / (gamma * gamma);
      variance = std::max(0.0, (hbb * da * da - 2 * hab * da * db + haa * db * db) / det);
    }
    double least = 1;
    for (int i = 0; i < 50; ++i) {
      const double epsilon = 1e-6 + (1 - 2e-6) * i / 49;
      const double bound = std::clamp(t + quantile(1 - epsilon) * std::sqrt(variance), 0.0, 1.0);
      const double alpha = (1 - epsilon) / (1 + std::exp(-std::clamp(gamma * (s - bound), -30.0, 30.0)));
      least = std::min(least, 1 - error_max / (1 - alpha));
    }
    return least;
  }

  static double quantile(double p) {  // of the normal distribution, by bisection
    double low = -8, high = 8;
    for (int i = 0; i < 50; ++i) {
      const double middle = (low + high) / 2;
      (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
    }
    return low;
  }
};

/// Over both halves in a row; counts the second.
Served vcache(const std::vector<Half>& halves, double error_max, unsigned seed) {
  struct Cached {
    std::size_t half, at;
    VCacheEntry entry;
  };
  std::vector<Cached> cached;
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform;
  Served served;
  for (std::size_t h = 0; h < 2; ++h) {
    for (std::size_t i = 0; i < halves[h].questions.size(); ++i) {
      const Question& question = halves[h].questions[i];
      served.requests += h;
      Cached* best = nullptr;
      float cosine = -1;
      for (Cached& one : cached) {
        float c = 0;
        if (one.half == h) {
          c = halves[h].cosine(i, one.at);
        } else {
          const auto a = halves[h].vector(i), b = halves[one.half].vector(one.at);
          for (std::size_t k = 0; k < kWidth; ++k) c += a[k] * b[k];
        }
        if (c > cosine) {
          cosine = c;
          best = &one;
        }
      }
      if (best == nullptr) {
        cached.push_back({h, i, {}});
        continue;
      }
      const bool agree = halves[best->half].questions[best->at].answer == question.answer;
      if (uniform(random) > best->entry.explores(cosine, error_max)) {
        served.hits += h;
        served.wrong += agree ? 0 : h;
        continue;
      }
      best->entry.seen.emplace_back(cosine, agree);
      if (!agree) cached.push_back({h, i, {}});
    }
  }
  return served;
}

/// What one error_max came to in all passes over a set.
struct Tally {
  Served ours, untuned, learnt_static, theirs;
  int passes = 0, held = 0, static_held = 0;
};

/// Learns from one half, reports the other.
void pass(const std::vector<Half>& halves, std::size_t learning, const std::array<StaticServed, 2>& statics,
          double error_max, unsigned seed, Tally& tally) {
  const Half& reported = halves[1 - learning];
  response_cache::SemanticRule learnt, cold;
  (void)through(halves[learning], learnt, {.error_max = error_max, .shadow = true, .seed = seed});
  const Served ours = through(reported, learnt, {.error_max = error_max, .shadow = false, .seed = seed + 1});
  tally.ours += ours;
  tally.untuned += through(reported, cold, {.error_max = error_max, .shadow = false, .seed = seed + 1});
  const std::size_t threshold = most_hits(statics[learning], [&](const Served& served) {
    return response_cache::within(static_cast<double>(served.wrong), static_cast<double>(served.hits),
                                  error_max);
  });
  Served by_threshold{.requests = reported.questions.size(), .hits = 0, .wrong = 0};
  if (threshold < kThresholds) by_threshold = statics[1 - learning][threshold];
  tally.learnt_static += by_threshold;
  ++tally.passes;
  tally.held += ours.error_rate() <= error_max ? 1 : 0;
  tally.static_held += by_threshold.error_rate() <= error_max ? 1 : 0;
}

nlohmann::ordered_json row_of(const std::string& set, double error_max, const Tally& tally,
                              const StaticServed& statics, int splits, Result& result) {
  const Served& ours = tally.ours;
  const std::size_t at = most_hits(statics, [&](const Served& s) { return s.error_rate() <= error_max; });
  const Served best = at < kThresholds ? statics[at] : Served{};
  const auto each = [&](std::size_t count) { return static_cast<double>(count) / splits; };
  const auto ci = wilson(each(ours.wrong), each(ours.hits));
  const auto hit_ci = wilson(each(ours.hits), each(ours.requests));
  const double lead = ours.hit_rate() - best.hit_rate();
  result.targets.push_back({fmt::format("{} at {}: wrong of what is served", set, error_max),
                            fmt::format("<= {}", error_max), ours.error_rate(),
                            ours.error_rate() <= error_max});
  result.targets.push_back(
      {fmt::format("{} at {}: hit rate over the best static threshold's", set, error_max), "> 0", lead,
       lead > 0});
  const Served& theirs = tally.theirs;
  return {
      {"set", set},
      {"error_max", error_max},
      {"requests", each(ours.requests)},
      {"hit_rate", ours.hit_rate()},
      {"error_rate", ours.error_rate()},
      {"ci95", {ci.first, ci.second}},
      {"hit_ci95", {hit_ci.first, hit_ci.second}},
      {"passes", tally.passes},
      {"held", tally.held},
      {"static_hit_rate", best.hit_rate()},
      {"static_error_rate", best.error_rate()},
      {"static_threshold", at < kThresholds ? threshold_at(at) : 1.0},
      {"learnt_static_hit_rate", tally.learnt_static.hit_rate()},
      {"learnt_static_error_rate", tally.learnt_static.error_rate()},
      {"learnt_static_held", tally.static_held},
      {"vcache_hit_rate", theirs.hit_rate()},
      {"vcache_error_rate", theirs.error_rate()},
      {"vcache_error_of_requests",
       theirs.requests == 0 ? 0 : static_cast<double>(theirs.wrong) / static_cast<double>(theirs.requests)},
      {"untuned_hit_rate", tally.untuned.hit_rate()},
      {"untuned_error_rate", tally.untuned.error_rate()}};
}

constexpr std::array kErrorMax = {0.01, 0.02, 0.05};

/// Rows and targets of one set. `halves`: of its first split, whose seed is `seed`.
base::Status measure(const QuestionSet& set, std::vector<Half> halves, Vectors& vectors, unsigned seed,
                     int splits, Result& result) {
  std::array<Tally, kErrorMax.size()> tallies;
  StaticServed all_static;
  for (int split = 0; split < splits; ++split) {
    const unsigned split_seed = seed + 1000 * static_cast<unsigned>(split);
    if (split > 0) {
      TRY_ASSIGN(halves, halves_of(set, vectors, split_seed));
    }
    const std::array statics = {all_thresholds(halves[0]), all_thresholds(halves[1])};
    for (const StaticServed& half : statics) {
      for (std::size_t i = 0; i < kThresholds; ++i) all_static[i] += half[i];
    }
    for (std::size_t e = 0; e < kErrorMax.size(); ++e) {
      for (const std::size_t learning : {0, 1})
        pass(halves, learning, statics, kErrorMax[e], split_seed, tallies[e]);
      if (split > 0) continue;
      tallies[e].theirs = vcache(halves, kErrorMax[e], seed);
      std::swap(halves[0], halves[1]);
      tallies[e].theirs += vcache(halves, kErrorMax[e], seed);
      std::swap(halves[0], halves[1]);
    }
    progress(fmt::format("{}: split {} of {}", set.name, split + 1, splits));
  }
  for (std::size_t e = 0; e < kErrorMax.size(); ++e)
    result.rows.push_back(row_of(set.name, kErrorMax[e], tallies[e], all_static, splits, result));
  return {};
}

/// What was served of the pairs of one kind.
struct PairTally {
  std::size_t pairs = 0, apart = 0;
  std::array<std::size_t, kErrorMax.size()> shipped{}, learnt{};
};

bool serves(response_cache::SemanticRule& rule, const QuestionPair& pair, const float* vectors,
            double error_max) {
  SemanticMatcher matcher({}, rule);
  const response_cache::Scope scope{};
  const std::span<const float> first(vectors, kWidth), second(vectors + kWidth, kWidth);
  matcher.add(scope, base::sha256(pair.parts[0]), text::question_of(pair.parts[0]), PackedVector::of(first));
  const Match match = matcher.match(scope, text::question_of(pair.parts[1]), second, error_max);
  return match.best && match.best->judgement.serve();
}

/// The pairs written before the rules were frozen, and those written after.
base::Status measure_pairs(Vectors& vectors, response_cache::SemanticRule& learnt, unsigned seed,
                           Result& result) {
  constexpr std::size_t kEach = 10;  // of a pattern: 100 of each kind at least
  response_cache::SemanticRule shipped;
  for (const char* half : {"first", "second"}) {
    TRY_ASSIGN(const auto pairs, question_pairs(fmt::format("{}_half.txt", half), kEach, seed));
    std::map<std::pair<std::string, bool>, PairTally> tallies;
    for (const QuestionPair& pair : pairs) {
      TRY_ASSIGN(const auto rows, vectors.of({{.text = pair.parts[0]}, {.text = pair.parts[1]}}));
      PairTally& tally = tallies[{pair.kind, pair.same}];
      ++tally.pairs;
      tally.apart += text::difference(text::question_of(pair.parts[0]), text::question_of(pair.parts[1])) ==
                             text::Difference::kNone
                         ? 0
                         : 1;
      for (std::size_t e = 0; e < kErrorMax.size(); ++e) {
        tally.shipped[e] += serves(shipped, pair, rows.data(), kErrorMax[e]) ? 1 : 0;
        tally.learnt[e] += serves(learnt, pair, rows.data(), kErrorMax[e]) ? 1 : 0;
      }
    }
    for (const auto& [key, tally] : tallies) {
      const auto& [kind, same] = key;
      result.rows.push_back({{"half", half},
                             {"kind", kind},
                             {"same", same},
                             {"pairs", tally.pairs},
                             {"told_apart", tally.apart},
                             {"error_max", kErrorMax},
                             {"served_shipped", tally.shipped},
                             {"served_learnt", tally.learnt}});
      for (std::size_t e = 0; e < kErrorMax.size() && !same; ++e) {
        const double wrong = static_cast<double>(std::max(tally.shipped[e], tally.learnt[e])) /
                             static_cast<double>(tally.pairs);
        result.targets.push_back({fmt::format("{} half, {} at {}: served of {} other questions", half, kind,
                                              kErrorMax[e], tally.pairs),
                                  fmt::format("<= {}", kErrorMax[e]), wrong, wrong <= kErrorMax[e]});
      }
    }
  }
  return {};
}

int eval(std::vector<std::string> args) {
  const bool json = take_flag(args, "--json"), fit = take_flag(args, "--fit"),
             only_pairs = take_flag(args, "--pairs");
  const std::string data = take_value(args, "--data", "data");
  const std::string kept = take_value(args, "--vectors", "");
  const unsigned seed = static_cast<unsigned>(std::stoul(take_value(args, "--seed", std::to_string(kSeed))));
  const int splits = std::stoi(take_value(args, "--splits", "4"));
  if (!args.empty() || splits < 1) {
    fmt::print(
        stderr,
        "usage: eval semantic [--data DIR] [--seed N] [--splits N] [--vectors FILE] [--fit | --pairs] [--json]\n");
    return 2;
  }
  const char* path = std::getenv("PERMUTATION_EMBEDDER");
  const base::SystemClock clock;
  const auto embedder = inference::LocalEmbedder::create(
      {.name = "all-minilm-l6-v2", .path = path != nullptr ? path : "", .threads = 0, .batch_tokens = 512},
      clock);
  Vectors vectors(*embedder, kept);
  std::vector<std::string> missing;
  const auto sets = read_question_sets(data, seed, missing);
  for (const std::string& what : missing) progress(what);
  Result result{.name = "semantic", .seed = static_cast<int>(seed), .rows = {}, .targets = {}};
  response_cache::SemanticRule all, learnt;
  const auto read_set = [&](const QuestionSet& set) -> base::Status {
    TRY_ASSIGN(std::vector<Half> halves, halves_of(set, vectors, seed));
    if (fit) {
      (void)through(halves[0], all, {.error_max = 0.01, .shadow = true, .seed = seed});
      return {};
    }
    for (const Half& half : halves)
      (void)through(half, learnt, {.error_max = 0.05, .shadow = true, .seed = seed});
    return only_pairs ? base::Status() : measure(set, std::move(halves), vectors, seed, splits, result);
  };
  for (const QuestionSet& set : sets) {
    progress(fmt::format("{}: {} questions", set.name, set.questions.size()));
    if (const base::Status status = read_set(set); !status) {
      fmt::print(stderr, "error: {}\n", status.error().message);
      return 1;
    }
  }
  if (fit) {
    fmt::print("{{{:.3f}}}\n", fmt::join(all.coefficients(), ", "));
    return 0;
  }
  if (const base::Status status = measure_pairs(vectors, learnt, seed, result); !status) {
    fmt::print(stderr, "error: {}\n", status.error().message);
    return 1;
  }
  print(result, json);
  return 0;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::eval({argv + 1, argv + argc});
}
