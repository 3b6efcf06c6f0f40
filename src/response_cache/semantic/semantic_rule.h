// When may the answer to another question be given? The rule learns it from pairs of which it saw both
// answers, and keeps the share of wrong ones among what it serves at or below `error_max`.
//
// 1. A logistic model over a pair's figures (cosine, how far the next different answer is, shared words, the
//    entry's own record) gives p, the chance that the answers agree. It starts from shipped coefficients, a
//    Gaussian prior that the labels move (pooled over entries, so that an entry never asked twice is judged
//    too; its own record is one of the figures: that is the per-entry part).
// 2. A threshold on p: labels in order of falling p, and the deepest cut at which the upper 80% confidence
//    bound of the wrong share above it (Clopper-Pearson) is within half of error_max. Half, because that
//    bound is about more of the same, and questions come that are unlike those learnt from: with the answers
//    split at random, a cut from one half erred on the other up to twice as often (docs/notes/0011).
// 3. Before there are enough labels for any cut to pass (322 without a wrong one for .01, 64 for .05), the
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

#include "response_cache/semantic/semantic_text.h"

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
  double p = 0;            // that the answers agree, by the model whose threshold it is
  double threshold = 0;    // of p, for the asked error_max
  bool certified = false;  // model and threshold come from labels; otherwise the shipped model judges
  bool serve() const { return p >= threshold; }
};

/// How firmly labels must speak for a cut: the upper bound of the wrong share above it, at this confidence,
/// must be within so much of error_max.
struct RuleBound {
  double confidence = 0.8;
  double share_of_error_max = 0.5;
};
/// Whether `wrong` of `count` labels do (Clopper-Pearson).
bool within(double wrong, double count, double error_max, RuleBound bound = {});

struct ShareInterval {
  double low = 0, high = 1;
};
/// Where the true share of wrong ones lies, by `wrong` of `count`, at 95% (Clopper-Pearson); all of [0, 1] without any.
ShareInterval interval_of(double wrong, double count);

class SemanticRule {
 public:
  struct Options {
    RuleBound bound = {};
    std::size_t labels_max = 4096;  // older ones are forgotten
  };
  SemanticRule() : SemanticRule(Options{}) {}
  explicit SemanticRule(Options options);

  Judgement judge(const PairFigures& pair, double error_max);
  void learn(const PairFigures& pair, bool agree);
  /// Takes back the latest label that said this; what was refitted by it stays until the next refit.
  void forget(const PairFigures& pair, bool agree);

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
  std::map<double, Cut> cuts_;  // of error_max; emptied by a wrong label and by a refit
};

}  // namespace pmt::response_cache
