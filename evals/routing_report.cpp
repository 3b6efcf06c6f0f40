#include "evals/routing_report.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include <fmt/format.h>

namespace pmt::evals {
using namespace lab;
namespace {

using Answers = std::vector<RoutedAnswer>;

struct Means {
  double accuracy = 0, asked = 0, seconds = 0, usd = 0;
};

Means means_of(const Answers& answers, const std::vector<std::size_t>& which) {
  Means sum;
  const auto n = static_cast<double>(which.size());
  for (const std::size_t i : which) {
    sum.accuracy += answers[i].right ? 1 / n : 0;
    sum.asked += answers[i].by_teacher ? 1 / n : 0;
    sum.seconds += answers[i].seconds / n;
    sum.usd += answers[i].usd / n;
  }
  return sum;
}

/// How far `at` lies above the line from `never` to `always`, in accuracy.
double above_line(const Means& at, const Means& never, const Means& always) {
  const double share = always.usd > never.usd ? (at.usd - never.usd) / (always.usd - never.usd) : at.asked;
  return at.accuracy - (never.accuracy + share * (always.accuracy - never.accuracy));
}

/// Paired bootstrap over questions.
template <class F>
std::vector<double> bootstrap(std::size_t n, unsigned seed, F&& statistic) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::size_t> pick(0, n - 1);
  std::vector<double> values;
  std::vector<std::size_t> which(n);
  for (int round = 0; round < 2000; ++round) {
    for (std::size_t& i : which) i = pick(random);
    values.push_back(statistic(which));
  }
  std::ranges::sort(values);
  return {values[49], values[1949]};
}

double rounded(double value) {
  return std::round(1e4 * value) / 1e4;
}

/// Every row has these, null where they say nothing.
nlohmann::ordered_json row_of(const std::string& set, const std::string& what, std::size_t n) {
  nlohmann::ordered_json row = {{"set", set}, {"policy", what}, {"n", n}};
  for (const char* key :
       {"confidence_min", "accuracy", "ci95", "kept", "kept_ci95", "teacher_saved", "compute_s",
        "usd_per_1000", "above_line", "above_line_ci95", "stated", "calibrated"})
    row[key] = nullptr;
  return row;
}

nlohmann::ordered_json interval(const std::vector<double>& ends) {
  return {rounded(ends[0]), rounded(ends[1])};
}

/// What one kind of traffic came to.
class SetReport {
 public:
  explicit SetReport(const RoutedSet& set) : set_(set), all_(set.both.size()) {
    for (std::size_t i = 0; i < all_.size(); ++i) {
      all_[i] = i;
      never_.push_back(set.both[i].student);
      always_.push_back(set.both[i].teacher);
    }
  }

  void add_policy(Result& result, const std::string& policy, const Answers& answers,
                  const std::vector<double>& thresholds) const {
    const Means at = means_of(answers, all_), never = means_of(never_, all_),
                always = means_of(always_, all_);
    const auto kept = [&](const std::vector<std::size_t>& which) {
      const double teacher = means_of(always_, which).accuracy;
      return teacher > 0 ? means_of(answers, which).accuracy / teacher : 1;
    };
    const auto height = [&](const std::vector<std::size_t>& which) {
      return above_line(means_of(answers, which), means_of(never_, which), means_of(always_, which));
    };
    const auto n = static_cast<double>(all_.size());
    const auto [low, high] = wilson(std::round(at.accuracy * n), n);
    auto row = row_of(set_.name, policy, all_.size());
    if (!thresholds.empty()) row["confidence_min"] = thresholds;
    row["accuracy"] = rounded(at.accuracy);
    row["ci95"] = interval({low, high});
    row["kept"] = rounded(kept(all_));
    row["kept_ci95"] = interval(bootstrap(all_.size(), set_.seed, kept));
    row["teacher_saved"] = rounded(1 - at.asked);
    row["compute_s"] = rounded(at.seconds);
    row["usd_per_1000"] = rounded(1000 * at.usd);
    row["above_line"] = rounded(above_line(at, never, always));
    row["above_line_ci95"] = interval(bootstrap(all_.size(), set_.seed, height));
    result.rows.push_back(std::move(row));
  }

  void add_curve(Result& result) const {
    add_policy(result, "never", never_, {});
    add_policy(result, "always", always_, {});
    std::vector<double> sorted;
    for (const BothAnswers& one : set_.both) sorted.push_back(one.confidence);
    std::ranges::sort(sorted);
    for (const int percent : {10, 25, 50, 75}) {
      const double threshold = sorted[sorted.size() * static_cast<std::size_t>(percent) / 100];
      Answers answers;
      for (const BothAnswers& one : set_.both) answers.push_back(routed(one, threshold));
      add_policy(result, fmt::format("escalate {}%", percent), answers, {rounded(threshold)});
    }
  }

  void add_router(Result& result) const {
    add_policy(result, "router", set_.router, set_.thresholds);
    const Means at = means_of(set_.router, all_), always = means_of(always_, all_);
    const double kept = always.accuracy > 0 ? at.accuracy / always.accuracy : 1;
    result.targets.push_back({.what = set_.name + ": the teacher's right answers kept",
                              .asked = fmt::format(">= {}", set_.keep),
                              .measured = rounded(kept),
                              .holds = kept >= set_.keep});
    result.targets.push_back({.what = set_.name + ": of its calls saved at that",
                              .asked = ">= 0.5",
                              .measured = rounded(1 - at.asked),
                              .holds = kept >= set_.keep && at.asked <= 0.5});
  }

  /// Each part calibrated by the others.
  void add_reliability(Result& result) const {
    std::vector<Judged> stated, calibrated;
    std::vector<Reliability> by;
    for (std::size_t part = 0; part < kRoutedParts; ++part) {
      std::vector<Judged> others;
      for (std::size_t i = 0; i < set_.both.size(); ++i) {
        if (i % kRoutedParts != part)
          others.emplace_back(set_.both[i].confidence, set_.both[i].student.right);
      }
      by.emplace_back(std::move(others));
    }
    std::vector<std::size_t> sorted = all_;
    std::ranges::sort(sorted, {}, [&](std::size_t i) { return set_.both[i].confidence; });
    for (const std::size_t i : sorted) {
      stated.emplace_back(set_.both[i].confidence, set_.both[i].student.right);
      calibrated.emplace_back(by[i % kRoutedParts].at(set_.both[i].confidence), set_.both[i].student.right);
    }
    constexpr std::size_t kBins = 5;
    for (std::size_t bin = 0; bin < kBins; ++bin) {
      const std::size_t begin = bin * sorted.size() / kBins, end = (bin + 1) * sorted.size() / kBins;
      if (begin == end) continue;
      add_bin(result,
              {stated.begin() + static_cast<std::ptrdiff_t>(begin),
               stated.begin() + static_cast<std::ptrdiff_t>(end)},
              {calibrated.begin() + static_cast<std::ptrdiff_t>(begin),
               calibrated.begin() + static_cast<std::ptrdiff_t>(end)});
    }
    const double before = calibration_error(stated, kBins), after = calibration_error(calibrated, kBins);
    result.targets.push_back({.what = set_.name + ": error of the calibrated confidence",
                              .asked = fmt::format("below the stated one's, {:.3f}", before),
                              .measured = rounded(after),
                              .holds = after < before});
    result.targets.push_back({.what = set_.name + ": a right answer's confidence is above a wrong one's",
                              .asked = "> 0.5",
                              .measured = rounded(ranking(stated)),
                              .holds = ranking(stated) > 0.5});
  }

 private:
  void add_bin(Result& result, const std::vector<Judged>& stated,
               const std::vector<Judged>& calibrated) const {
    const auto n = static_cast<double>(stated.size());
    double right = 0, said = 0, meant = 0;
    for (std::size_t i = 0; i < stated.size(); ++i)
      right += stated[i].second ? 1 : 0, said += stated[i].first / n, meant += calibrated[i].first / n;
    auto row = row_of(set_.name,
                      fmt::format("confidence {:.3f} to {:.3f}", stated.front().first, stated.back().first),
                      stated.size());
    const auto [low, high] = wilson(right, n);
    row["accuracy"] = rounded(right / n);
    row["ci95"] = interval({low, high});
    row["stated"] = rounded(said);
    row["calibrated"] = rounded(meant);
    result.rows.push_back(std::move(row));
  }

  const RoutedSet& set_;
  std::vector<std::size_t> all_;
  Answers never_, always_;
};

}  // namespace

void report_set(const RoutedSet& set, Result& result) {
  const SetReport report(set);
  report.add_curve(result);
  report.add_router(result);
  report.add_reliability(result);
}

}  // namespace pmt::evals
