#include "evals/documents_arms.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include <fmt/format.h>

#include "text/plain_words.h"

namespace pmt::evals {
namespace {

double rounded(double value) {
  return std::round(1e3 * value) / 1e3;
}

/// Of the same questions, one arm's right answers against another's.
struct Paired {
  double n = 0, wins = 0, losses = 0;
  double difference() const { return n > 0 ? (wins - losses) / n : 0; }
  /// Half of the 95% interval, of the mean of pairs that are +1, 0 or -1. Where none differs, as if one did each way.
  double half() const {
    if (n == 0) return 1;
    const double apart = std::max(2.0, wins + losses), net = wins - losses;
    return 1.96 * std::sqrt(std::max(0.0, apart - net * net / n)) / n;
  }
};

}  // namespace

bool is_right(const DocumentItem& item, const std::string& text) {
  const std::string said = text::plain_text(text);
  return std::ranges::any_of(item.answers, [&](const std::string& answer) {
    return said.find(text::plain_text(answer)) != std::string::npos;
  });
}

void DocumentArms::add(const DocumentItem& item, std::map<std::string, DocumentReply> replies) {
  Asked& asked = asked_.emplace_back(Asked{.set = item.set, .replies = std::move(replies), .right = {}});
  if (getloadavg(&asked.load, 1) != 1) asked.load = 0;
  for (const auto& [arm, reply] : asked.replies) asked.right[arm] = is_right(item, reply.text);
}

std::string DocumentArms::so_far() const {
  const auto right = [&](const char* arm) {
    return std::ranges::count_if(asked_, [&](const Asked& one) { return one.right.at(arm); });
  };
  return fmt::format("{} asked: text right {}, packs {}", asked_.size(), right(kTextArm), right(kPacksArm));
}

template <class Is>
DocumentArms::Group DocumentArms::group(Is&& is) const {
  Group out;
  for (const Asked& one : asked_) {
    if (is(one, one.replies.at(kTextArm))) out.push_back(&one);
  }
  return out;
}

void DocumentArms::add_group(const std::string& set, const std::string& name, const Group& of,
                             lab::Result& result) const {
  if (of.empty()) return;
  const auto n = static_cast<double>(of.size());
  std::vector<double> loads;
  for (const Asked* one : of) loads.push_back(one->load);
  for (const auto& [arm, unused] : of.front()->replies) {
    double right = 0, fell_back = 0;
    Paired pair{.n = n};
    std::vector<double> first, read, times;
    for (const Asked* one : of) {
      const DocumentReply &reply = one->replies.at(arm), &text = one->replies.at(kTextArm);
      const bool is = one->right.at(arm), texts = one->right.at(kTextArm);
      right += is ? 1 : 0;
      pair.wins += is && !texts ? 1 : 0, pair.losses += !is && texts ? 1 : 0;
      fell_back += arm != kTextArm && reply.shown > 0 && reply.attached == "text" ? 1 : 0;
      first.push_back(reply.first_token_s), read.push_back(reply.read_tokens);
      times.push_back(text.first_token_s / std::max(1e-6, reply.first_token_s));
    }
    const auto [low, high] = lab::wilson(right, n);
    result.rows.push_back({{"model", model_},
                           {"load", rounded(lab::median(loads))},
                           {"set", set},
                           {"questions", name},
                           {"arm", arm},
                           {"n", n},
                           {"right", right},
                           {"share", rounded(right / n)},
                           {"ci95", fmt::format("{:.3f}-{:.3f}", low, high)},
                           {"minus text", rounded(pair.difference())},
                           {"minus text, ci95",
                            fmt::format("{:+.3f} to {:+.3f}", std::max(-1.0, pair.difference() - pair.half()),
                                        std::min(1.0, pair.difference() + pair.half()))},
                           {"won", pair.wins},
                           {"lost", pair.losses},
                           {"first token s", rounded(lab::median(first))},
                           {"sooner than text", rounded(lab::median(times))},
                           {"tokens read", lab::median(read)},
                           {"packs were gone", fell_back}});
  }
}

void DocumentArms::add_rows(lab::Result& result) const {
  std::set<std::string> sets;
  for (const Asked& one : asked_) sets.insert(one.set);
  for (const std::string& set : sets) {
    const auto add = [&](const char* name, auto&& is) {
      add_group(set, name, group([&](const Asked& one, const DocumentReply& text) {
                  return one.set == set && is(text);
                }),
                result);
    };
    add("all", [](const DocumentReply&) { return true; });
    add("nothing shown", [](const DocumentReply& text) { return text.shown == 0; });
    add("something shown", [](const DocumentReply& text) { return text.shown > 0; });
    add("right passage shown", [](const DocumentReply& text) { return text.right_shown; });
    add("others shown", [](const DocumentReply& text) { return text.shown > 0 && !text.right_shown; });
    add("one passage shown", [](const DocumentReply& text) { return text.shown == 1; });
    add("two or three shown", [](const DocumentReply& text) { return text.shown > 1; });
  }
}

void DocumentArms::add_targets(lab::Result& result) const {
  const Group shown = group([](const Asked&, const DocumentReply& text) { return text.shown > 0; });
  if (shown.empty()) return;
  Paired pair{.n = static_cast<double>(asked_.size())};
  for (const Asked& one : asked_) {
    const bool packs = one.right.at(kPacksArm), text = one.right.at(kTextArm);
    pair.wins += packs && !text ? 1 : 0, pair.losses += !packs && text ? 1 : 0;
  }
  std::vector<double> times;
  for (const Asked* one : shown)
    times.push_back(one->replies.at(kTextArm).first_token_s /
                    std::max(1e-6, one->replies.at(kPacksArm).first_token_s));
  result.targets.push_back({.what = "right answers of packs minus those of text, share of all questions",
                            .asked = ">= -0.02",
                            .measured = pair.difference(),
                            .holds = pair.difference() >= -0.02});
  result.targets.push_back({.what = "first token sooner than text's, times (median of those shown something)",
                            .asked = ">= 8",
                            .measured = lab::median(times),
                            .holds = lab::median(times) >= 8});
}

}  // namespace pmt::evals
