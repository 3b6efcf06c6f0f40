#include "knowledge_cache/pack_references.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "knowledge_cache/documents/attach.h"

namespace pmt::knowledge_cache {
namespace {

/// Answers that must have a form of their own, or several texts a request, are left to the model.
bool takes_recall(const llm::Request& request) {
  return request.tools.empty() && request.response_format.is_free();
}

/// Makes request.knowledge these domains, each with its version where it has a say. One that isn't there: nothing is
/// changed.
void refer(const Library& library, const std::vector<std::string>& names, llm::Request& request) {
  Domains domains;
  for (const std::string& name : names) {
    auto domain = library.find(name);
    if (!domain) return;
    domains.push_back(std::move(*domain));
  }
  const Conversation conversation = conversation_of(request);
  const Inquiry inquiry(conversation, std::move(domains), library.lexicon());
  request.knowledge.clear();
  for (std::size_t i = 0; i < names.size(); ++i) {
    const bool has_a_say = (inquiry.names_anything() && inquiry.consulted()[i]) ||
                           concerns(request, conversation, *inquiry.domains()[i]);
    request.knowledge.push_back(names[i] + "@" + (has_a_say ? inquiry.domains()[i]->origin().version : ""));
  }
}

}  // namespace

std::string domain_of_reference(const std::string& reference) {
  return reference.substr(0, reference.find('@'));
}

bool is_of_no_concern(const std::string& reference) {
  return reference.ends_with('@');
}

Conversation conversation_of(const llm::Request& request) {
  Conversation out;
  if (!takes_recall(request)) return out;
  if (request.endpoint == llm::Endpoint::kCompletions) {
    out.raw = true;
    out.turns.push_back(request.prompt);
    return out;
  }
  for (const llm::Message& message : request.messages) {
    if (message.role == "user") out.turns.push_back(message.content);
  }
  // An answer that somebody began isn't a question.
  if (!request.messages.empty() && request.messages.back().role != "user") out.turns.clear();
  return out;
}

void settle_knowledge(Library& of_all, llm::Request& request) {
  if (request.knowledge.empty()) return;
  std::vector<std::string> names;
  for (const std::string& reference : request.knowledge) {
    std::string name = domain_of_reference(reference);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  }
  refer(of_all.of_tenant(request.tenant), names, request);
}

void offer_knowledge(Library& of_all, llm::Request& request) {
  Library& library = of_all.of_tenant(request.tenant);
  library.refresh();
  std::vector<std::string> names;
  for (const DomainInfo& domain : library.list()) names.push_back(domain.name);
  if (names.empty()) return;
  refer(library, names, request);  // none of them, if one was forgotten just now
  std::erase_if(request.knowledge, is_of_no_concern);
}

}  // namespace pmt::knowledge_cache
