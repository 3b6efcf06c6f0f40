// Which passages of its domains' documents a request is shown (note 0046), in two halves with the embedding between
// them, as recall's gate:
//
//   Candidates found = candidates_of(request, conversation, domains);  // by words; says what is to be embedded, if anything
//   ... rows = an embedding of each of found.texts() ...
//   Attachment shown = attachment_of(found, rows);                     // by words and nearness; without rows by words
//
// Thread-safety: pure functions. Cost: Documents::find for each domain that has documents.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "knowledge_cache/gate/recall.h"
#include "llm/request.h"

namespace pmt::knowledge_cache {

/// What may be shown, best first, as far as words tell.
struct Candidates {
  struct One {
    const Domain* domain = nullptr;  // one of those asked
    Documents::Found found;
    double words = 0;  // how well its words fit, of the best one's: 0 to 1
  };
  std::string question;
  std::vector<One> passages;

  bool empty() const { return passages.empty(); }
  /// Where there is nothing to choose nothing need be embedded.
  bool need_nearness() const { return passages.size() > 1; }
  /// The question, then each passage.
  std::vector<std::string> texts() const;
};
Candidates candidates_of(const llm::Request& request, const Conversation& conversation,
                         const Domains& domains);

/// Where a passage is.
struct PassageSource {
  std::string domain, document;
  std::size_t passage = 0;         // of the document's, from 0
  std::size_t begin = 0, end = 0;  // bytes of the document's text
};

/// The best last, kPassagesMax at most.
struct Attachment {
  std::vector<std::string> passages;
  std::vector<PassageSource> sources;  // of each
};
/// `rows`: [1 + passages, width], of texts(), each of length 1; empty: words alone decide.
Attachment attachment_of(Candidates found, const std::vector<float>& rows);

inline constexpr std::size_t kPassagesMax = 3;

/// Of one domain: whether it would be shown any of it.
bool concerns(const llm::Request& request, const Conversation& conversation, const Domain& domain);

}  // namespace pmt::knowledge_cache
