// Which packs a request's answer depends on, written so that the response cache's key has these and no others:
//
//   "acme"          named by a caller
//   "acme@VERSION"  the text holds a word of a name that is taught in acme, or its documents have a passage for it:
//                   what acme teaches may decide the answer
//   "acme@"         it holds none: nothing of acme is recalled, and the answer is the model's own
//
// So a request that names nothing taught keeps its key when something is taught, and one that does has a new key with
// each change of the packs that it may concern.
// Thread-safety: any thread. Cost: as the first gate (gate/recall.h): under 1 us a word of the text.
#pragma once

#include <string>

#include "knowledge_cache/library.h"
#include "llm/request.h"

namespace pmt::knowledge_cache {

/// "acme" of "acme@version".
std::string domain_of_reference(const std::string& reference);
/// "acme@".
bool is_of_no_concern(const std::string& reference);

/// Where the request speaks, for the gate. Empty where nothing can be recalled: the last message isn't a user's, or
/// the answer must have a form of its own.
Conversation conversation_of(const llm::Request& request);

/// Makes request.knowledge references as above, by the packs as they are now. `library`: of the model, of all
/// tenants. Domains that aren't there are left for whoever recalls to complain of.
void settle_knowledge(Library& library, llm::Request& request);

/// The same for a request that may use whatever its tenant's packs teach and names none of them: it gets those that
/// may decide its answer.
void offer_knowledge(Library& library, llm::Request& request);

}  // namespace pmt::knowledge_cache
