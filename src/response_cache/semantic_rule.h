// When may the answer to another question be given? The rule learns it from pairs of which it saw both
// answers, and keeps the share of wrong ones among what it serves at or below `error_max`.
//
// 1. A logistic model over a pair's figures (cosine, how far the next different answer is, shared words, the
//    entry's own record) gives p, the chance that the answers agree. It starts from shipped coefficients, a
//    Gaussian prior that the labels move (pooled over entries, so that an entry never asked twice is judged
//    too; its own record is one of the figures: that is the per-entry part).
// 2. A threshold on p: labels in order of falling p, and the deepest cut at which the upper 80% confidence
// bound
//    of the wrong share above it (Clopper-Pearson) is still within error_max.
// 3. Before there are enough labels for any cut to pass (161 without a wrong one for .01, 32 for .05), the
//    shipped model alone: served if 1 - p <= error_max / 2 and p above every p that a label found wrong.
// Labels come from exploring: what is not served is computed, and compared; of what could be served, a small
// share is computed too. So the labels above a cut hold too few of the surest pairs, and the wrong share
// among them is an overestimate of that among the served: the bound errs on the safe side.
//
// How we differ from vCache (arXiv 2502.03771): it fits a sigmoid over the cosine for each entry alone, which
// says nothing before an entry has six labels; and it bounds wrong answers over all requests, which a low
// hit rate satisfies by itself. Ours is over the hits.
// Thread-safety: any thread may call anything. Cost: a judgement is 8 multiplications; a label now and then
// refits, under a millisecond.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>

#include "response_cache/semantic_text.h"

namespace pmt::response_cache {

inline constexpr int kFigures = 9;

/// A question and a cached one, as figures for the model.
struct PairFigures {
  std::array<double, kFigures> x{};
};

struct PairEvidence {
  double cosine = 0;
  double rival = 0;  // cosine of the nearest cached question whose answer is another; 0: none
  Likeness likeness;
  int agreed = 0, disagreed = 0;  // of the cached entry: labels so far
};
PairFigures figures_of(const PairEvidence& evidence);

struct Judgement {
  double p = 0;            // that the answers agree
  double threshold = 0;    // of p, for the asked error_max
  bool certified = false;  // the threshold comes from labels, not from the shipped model
  bool serve() const { return p >= threshold; }
};

class SemanticRule {
 public:
  struct Options {
    double confidence = 0.8;
    std::size_t labels_max = 4096;  // older ones are forgotten
  };
  SemanticRule() : SemanticRule(Options{}) {}
  explicit SemanticRule(Options options);

  Judgement judge(const PairFigures& pair, double error_max);
  void learn(const PairFigures& pair, bool agree);

  std::array<double, kFigures> coefficients() const;
  std::size_t labels() const;

 private:
  struct Label {
    PairFigures pair;
    bool agree = false;
  };
  struct Cut {
    double threshold = 0;
    bool certified = false;
  };
  void refit();
  Cut cut_for(double error_max) const;

  const Options options_;
  mutable std::mutex mutex_;
  std::deque<Label> labels_;
  std::array<double, kFigures> weights_;
  std::size_t refit_at_ = 32;
  std::size_t learnt_ = 0;
  std::map<double, Cut> cuts_;  // of error_max; emptied by each label
};

/// The upper `confidence` bound of a share of which `wrong` of `count` were seen;
double upper_bound(double wrong, double count, double confidence);

}  // namespace pmt::response_cache
