// ./dev eval semantic [--data DIR] [--fit]: what the response cache's semantic tier serves, and how much of
// it is wrong, beside a static threshold and vCache's rule.
//
// Each set is a stream of questions of which it is known whether their answers are the same. Its groups are
// split in two halves. The first passes in shadow mode: nothing is served, the rule learns. Then the cache is
// emptied, the second half passes, and what is served in it is reported. So the tuning half and the reported
// half have no answer in common, and a question can be served only by another wording of it within its half.
//
// hit_rate: served / requests. error_rate: wrong / served, the stricter of the two definitions in use.
// Static: the threshold with the most hits of those whose error_rate on the reported half itself is within
// error_max, chosen in hindsight, which no operator can. vCache: its published rule (arXiv 2502.03771: a
// sigmoid over the cosine for each entry, at least 6 labels), over both halves in a row; its table of
// variances for separable labels is taken as .21 / n. It bounds wrong / requests, which is shown too.
// --vectors FILE keeps the embeddings there for the next run: most of the time goes into them.
// --fit prints the coefficients that the tuning halves of all sets give, for semantic_rule.cpp.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "inference/local_embedder.h"
#include "measure.h"
#include "response_cache/semantic_matcher.h"
#include "response_cache/semantic_tier.h"
#include "semantic_sets.h"

namespace pmt::bench {
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

base::Result<std::vector<Half>> halves_of(const QuestionSet& set, Vectors& vectors) {
  std::vector<Half> halves(2);
  for (const Question& q : set.questions)
    halves[static_cast<std::size_t>(q.group) % 2].questions.push_back(q);
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
    const auto facts = response_cache::facts_of(question.text);
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

struct StaticBest {
  double threshold = 1;
  Served served;
};

StaticBest best_static(const Half& half, double error_max) {
  StaticBest best;
  best.served.requests = half.questions.size();
  for (double threshold = 0.4; threshold < 1.0; threshold += 0.005) {
    const Served served = static_threshold(half, threshold);
    if (served.error_rate() <= error_max && served.hits > best.served.hits) best = {threshold, served};
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
Served vcache(const std::vector<Half>& halves, double error_max) {
  struct Cached {
    std::size_t half, at;
    VCacheEntry entry;
  };
  std::vector<Cached> cached;
  std::mt19937 random(kSeed);
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

nlohmann::ordered_json row_of(const std::string& set, const std::vector<Half>& halves, double error_max,
                              Result& result) {
  response_cache::SemanticRule learnt, cold_rule;
  (void)through(halves[0], learnt, {.error_max = error_max, .shadow = true, .seed = kSeed});
  const Served ours =
      through(halves[1], learnt, {.error_max = error_max, .shadow = false, .seed = kSeed + 1});
  const Served cold =
      through(halves[1], cold_rule, {.error_max = error_max, .shadow = false, .seed = kSeed + 1});
  const StaticBest best = best_static(halves[1], error_max);
  const Served theirs = vcache(halves, error_max);
  const auto ci = wilson(static_cast<double>(ours.wrong), static_cast<double>(ours.hits));
  const auto hit_ci = wilson(static_cast<double>(ours.hits), static_cast<double>(ours.requests));
  const double lead = ours.hit_rate() - best.served.hit_rate();
  result.targets.push_back({fmt::format("{} at {}: wrong of what is served", set, error_max),
                            fmt::format("<= {}", error_max), ours.error_rate(),
                            ours.error_rate() <= error_max});
  result.targets.push_back(
      {fmt::format("{} at {}: hit rate over the best static threshold's", set, error_max), "> 0", lead,
       lead > 0});
  const auto share = [](std::size_t a, std::size_t b) {
    return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
  };
  return {{"set", set},
          {"error_max", error_max},
          {"requests", ours.requests},
          {"hit_rate", ours.hit_rate()},
          {"error_rate", ours.error_rate()},
          {"ci95", {ci.first, ci.second}},
          {"hit_ci95", {hit_ci.first, hit_ci.second}},
          {"static_hit_rate", best.served.hit_rate()},
          {"static_error_rate", best.served.error_rate()},
          {"static_threshold", best.threshold},
          {"vcache_hit_rate", theirs.hit_rate()},
          {"vcache_error_rate", theirs.error_rate()},
          {"vcache_error_of_requests", share(theirs.wrong, theirs.requests)},
          {"untuned_hit_rate", cold.hit_rate()},
          {"untuned_error_rate", cold.error_rate()}};
}

int eval(std::vector<std::string> args) {
  const bool json = take_flag(args, "--json"), fit = take_flag(args, "--fit");
  const std::string data = take_value(args, "--data", "../shared/data");
  const std::string kept = take_value(args, "--vectors", "");
  const unsigned seed = static_cast<unsigned>(std::stoul(take_value(args, "--seed", std::to_string(kSeed))));
  if (!args.empty()) {
    fmt::print(stderr, "usage: eval semantic [--data DIR] [--seed N] [--vectors FILE] [--fit] [--json]\n");
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
  response_cache::SemanticRule all;
  for (const QuestionSet& set : sets) {
    progress(fmt::format("{}: {} questions", set.name, set.questions.size()));
    const auto halves = halves_of(set, vectors);
    if (!halves) {
      fmt::print(stderr, "error: {}\n", halves.error().message);
      return 1;
    }
    if (fit) {
      (void)through((*halves)[0], all, {.error_max = 0.01, .shadow = true, .seed = seed});
      continue;
    }
    for (const double error_max : {0.01, 0.02, 0.05}) {
      result.rows.push_back(row_of(set.name, *halves, error_max, result));
    }
  }
  if (fit) {
    fmt::print("{{{:.3f}}}\n", fmt::join(all.coefficients(), ", "));
    return 0;
  }
  print(result, json);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::eval({argv + 1, argv + argc});
}
