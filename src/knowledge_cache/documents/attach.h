// Which passages of its domains' documents a request is shown (note 0046).
// Thread-safety: pure functions. Cost: Documents::find for each domain that has documents.
#pragma once

#include <string>
#include <vector>

#include "knowledge_cache/gate/recall.h"
#include "llm/request.h"

namespace pmt::knowledge_cache {

/// Where a passage is.
struct PassageSource {
  std::string domain, document;
  std::size_t passage = 0;         // of the document's, from 0
  std::size_t begin = 0, end = 0;  // bytes of the document's text
};

/// The best last. Empty: nothing is found with confidence, or nothing of documents is asked for.
struct Attachment {
  std::vector<std::string> passages;
  std::vector<PassageSource> sources;  // of each
};
Attachment attachment_of(const llm::Request& request, const Conversation& conversation,
                         const Domains& domains);

/// Of one domain: whether it would be shown any of it.
bool concerns(const llm::Request& request, const Conversation& conversation, const Domain& domain);

}  // namespace pmt::knowledge_cache
