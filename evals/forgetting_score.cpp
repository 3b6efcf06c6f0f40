#include "evals/forgetting_score.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <numeric>

#include "lab/measure.h"
#include "text/plain_words.h"

namespace pmt::evals {
using namespace lab;
namespace {

using nlohmann::ordered_json;

const char* const kTaught[] = {"trained", "near", "far"};
const char* const kNotTaught[] = {"stranger", "sibling", "untaught"};

ordered_json mean_of(const std::vector<double>& values) {
  if (values.empty()) return nullptr;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

bool says(const std::string& answer, const std::string& wanted) {
  const std::string text = text::lower(answer), what = text::lower(wanted);
  const auto inside = [&](std::size_t i) {
    return i < text.size() && std::isalnum(static_cast<unsigned char>(text[i])) != 0;
  };
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    if (!(at > 0 && inside(at - 1)) && !inside(at + what.size())) return true;
  }
  return false;
}

bool asks_for_taught(const std::string& row) {
  return std::find(std::begin(kTaught), std::end(kTaught), row) != std::end(kTaught);
}

void Score::add(const QuestionSet& set, const Said& said) {
  ++seeds_;
  facts_ = set.world.facts.size();
  add_answers(set, said);
  add_known_answers(set, said);
  add_retained(set, said);
  if (said.perplexity_before > 0) {
    perplexity_before_.push_back(said.perplexity_before);
    perplexity_delta_.push_back(said.perplexity / said.perplexity_before - 1);
  }
  if (said.bytes_per_fact > 0) bytes_per_fact_.push_back(said.bytes_per_fact);
  s_per_fact_.insert(s_per_fact_.end(), said.s_per_fact.begin(), said.s_per_fact.end());
}

void Score::add_answers(const QuestionSet& set, const Said& said) {
  const auto& facts = set.world.facts;
  std::size_t at = 0;
  for (const SetQuestion& question : set.questions) {
    if (said.asked_for_taught_only && !asks_for_taught(question.row)) continue;
    if (at == said.answers.size()) return;
    const std::string& answer = said.answers[at++];
    shares_[question.row].add(asks_for_taught(question.row)
                                  ? says(answer, facts[question.fact].answer)
                                  : std::any_of(facts.begin(), facts.end(), [&](const InventedFact& any) {
                                      return says(answer, any.answer);
                                    }));
  }
}

void Score::add_known_answers(const QuestionSet& set, const Said& said) {
  for (std::size_t i = 0; i < said.known.size(); ++i) {
    if (!says(said.known_before[i], set.known[i].second)) continue;
    shares_["changed"].add(said.known[i] != said.known_before[i]);
    shares_["no_longer_right"].add(!says(said.known[i], set.known[i].second));
  }
}

void Score::add_retained(const QuestionSet& set, const Said& said) {
  if (after_.size() < said.retained.size()) after_.resize(said.retained.size());
  for (std::size_t after = 0; after < said.retained.size(); ++after) {
    after_[after].resize(after + 1);
    std::size_t at = 0;
    for (const std::size_t fact : set.kept(after + 1))
      after_[after][set.domain_of(fact)].add(says(said.retained[after][at++], set.world.facts[fact].answer));
  }
}

ordered_json Score::row() const {
  ordered_json row{{"method", method_}, {"seeds", seeds_}, {"facts", facts_}, {"domains", kSetDomains}};
  const auto put = [&](const char* name, const Share& share) {
    row[name] = share.n == 0 ? ordered_json() : ordered_json(share.value());
    const auto [low, high] = share.interval();
    row[std::string(name) + "_ci95"] = share.n == 0 ? ordered_json() : ordered_json({low, high});
  };
  const auto named = [&](const char* name) {
    const auto found = shares_.find(name);
    return found == shares_.end() ? Share{} : found->second;
  };
  for (const char* name : kTaught) put(name, named(name));
  Share just_taught, retained, first;
  for (const auto& after : after_) {
    just_taught.n += after.back().n;
    just_taught.yes += after.back().yes;
  }
  if (!after_.empty()) {
    first = after_.back().front();
    for (const Share& share : after_.back()) {
      retained.n += share.n;
      retained.yes += share.yes;
    }
  }
  put("just_taught", just_taught);
  put("retained", retained);
  put("first_domain_retained", first);
  put("changed", named("changed"));
  put("no_longer_right", named("no_longer_right"));
  row["perplexity_before"] = mean_of(perplexity_before_);
  row["perplexity_delta"] = mean_of(perplexity_delta_);
  for (const char* name : kNotTaught) put(name, named(name));
  row["s_per_fact"] = s_per_fact_.empty() ? ordered_json() : ordered_json(median(s_per_fact_));
  row["bytes_per_fact"] = mean_of(bytes_per_fact_);
  return row;
}

Retention Score::retention() const {
  Retention out{method_, {}};
  for (const auto& after : after_) {
    out.after.emplace_back();
    for (const Share& share : after) out.after.back().push_back(share.value());
  }
  return out;
}

}  // namespace pmt::evals
