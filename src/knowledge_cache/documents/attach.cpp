#include "knowledge_cache/documents/attach.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <string_view>
#include <utility>

#include "knowledge_cache/document_request.h"

namespace pmt::knowledge_cache {
namespace {

/// What is asked; "": nothing that documents could answer.
std::string_view question_of(const llm::Request& request, const Conversation& conversation) {
  const bool asks = !conversation.raw && !conversation.turns.empty();
  if (!asks || request.options.get<DocumentRequest>().attach == DocumentUse::kOff) return {};
  return conversation.turns.back();
}

/// What nearness weighs beside words (measured in note 0046).
constexpr double kNearness = 0.7;

/// Scores of two indices don't compare, shares of one question do.
void weigh_words(std::vector<Candidates::One>& passages) {
  const bool several = !passages.empty() && passages.front().domain != passages.back().domain;
  double best = 0;
  for (Candidates::One& one : passages) {
    one.words = several ? one.found.covered : one.found.score;
    best = std::max(best, one.words);
  }
  for (Candidates::One& one : passages) one.words /= best;
  std::ranges::stable_sort(passages, std::ranges::greater(), &Candidates::One::words);
}

void weigh_nearness(std::vector<Candidates::One>& passages, const std::vector<float>& rows) {
  const std::size_t width = rows.size() / (passages.size() + 1);
  std::vector<std::pair<double, Candidates::One>> weighed;
  for (std::size_t i = 0; i < passages.size(); ++i) {
    const float* const row = rows.data() + (i + 1) * width;
    const double nearness = std::inner_product(row, row + width, rows.data(), 0.0);
    weighed.emplace_back((1 - kNearness) * passages[i].words + kNearness * nearness, passages[i]);
  }
  std::ranges::stable_sort(weighed, std::ranges::greater(), [](const auto& one) { return one.first; });
  for (std::size_t i = 0; i < passages.size(); ++i) passages[i] = weighed[i].second;
}

}  // namespace

std::vector<std::string> Candidates::texts() const {
  std::vector<std::string> out{question};
  for (const One& one : passages) {
    const Documents& documents = *one.domain->documents();
    const Documents::Passage& passage = documents.passages()[one.found.passage];
    std::string text = passage.headings;
    text += documents.text_of(passage);
    out.push_back(std::move(text));
  }
  return out;
}

Candidates candidates_of(const llm::Request& request, const Conversation& conversation,
                         const Domains& domains) {
  Candidates out{.question = std::string(question_of(request, conversation)), .passages = {}};
  for (const auto& domain : domains) {
    if (out.question.empty() || domain->documents() == nullptr) continue;
    for (const Documents::Found& found : domain->documents()->find(out.question))
      out.passages.push_back({.domain = domain.get(), .found = found});
  }
  weigh_words(out.passages);
  if (out.passages.size() > kRankedMax) out.passages.resize(kRankedMax);
  return out;
}

Attachment attachment_of(Candidates found, const std::vector<float>& rows) {
  if (!rows.empty()) weigh_nearness(found.passages, rows);
  if (found.passages.size() > kPassagesMax) found.passages.resize(kPassagesMax);
  std::ranges::reverse(found.passages);
  Attachment out;
  for (const Candidates::One& one : found.passages) {
    const Documents& documents = *one.domain->documents();
    const Documents::Passage& passage = documents.passages()[one.found.passage];
    out.passages.emplace_back(documents.text_of(passage));
    out.sources.push_back({.domain = one.domain->origin().name,
                           .document = documents.list()[passage.document]->name,
                           .passage = passage.number,
                           .begin = passage.begin,
                           .end = passage.end});
  }
  return out;
}

bool concerns(const llm::Request& request, const Conversation& conversation, const Domain& domain) {
  const std::string_view question = question_of(request, conversation);
  return !question.empty() && domain.documents() != nullptr && !domain.documents()->find(question).empty();
}

}  // namespace pmt::knowledge_cache
