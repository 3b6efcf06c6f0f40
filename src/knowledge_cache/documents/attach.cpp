#include "knowledge_cache/documents/attach.h"

#include <algorithm>
#include <string_view>

#include "knowledge_cache/document_request.h"

namespace pmt::knowledge_cache {
namespace {

/// What is asked; "": nothing that documents could answer.
std::string_view question_of(const llm::Request& request, const Conversation& conversation) {
  const bool asks = !conversation.raw && !conversation.turns.empty();
  if (!asks || request.options.get<DocumentRequest>().attach == DocumentUse::kOff) return {};
  return conversation.turns.back();
}

struct Candidate {
  const Domain* domain = nullptr;
  Documents::Found found;
};

}  // namespace

Attachment attachment_of(const llm::Request& request, const Conversation& conversation,
                         const Domains& domains) {
  const std::string_view question = question_of(request, conversation);
  std::vector<Candidate> candidates;
  for (const auto& domain : domains) {
    if (question.empty() || domain->documents() == nullptr) continue;
    for (const Documents::Found& found : domain->documents()->find(question))
      candidates.push_back({domain.get(), found});
  }
  // Scores of two indices don't compare, shares of one question do.
  const bool several = !candidates.empty() && candidates.front().domain != candidates.back().domain;
  if (several) {
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
      return a.found.covered > b.found.covered;
    });
  }
  if (candidates.size() > kPassagesMax) candidates.resize(kPassagesMax);
  std::reverse(candidates.begin(), candidates.end());
  Attachment out;
  for (const auto& [domain, found] : candidates) {
    const Documents& documents = *domain->documents();
    const Documents::Passage& passage = documents.passages()[found.passage];
    out.passages.emplace_back(documents.text_of(passage));
    out.sources.push_back({.domain = domain->origin().name,
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
