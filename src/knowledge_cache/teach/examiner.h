// Whether a domain answers what it was taught: each fact that is new asked for by its own prompt and by one that was
// not taught, and facts that were known before asked again. The gate answers, no model.
//
// Thread-safety: one thread; the domains are immutable. Errors: the embedder's. Cost: a prompt that isn't found by its
// words is embedded (3 ms), and one unseen phrasing a fact, at most 200.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "knowledge_cache/gate/mention.h"
#include "knowledge_cache/gate/question_keys.h"
#include "knowledge_cache/gate/sighting.h"
#include "knowledge_cache/packs/domain.h"

namespace pmt::knowledge_cache {

struct Exam {
  std::size_t recalled = 0;                           // of what was taught: its own prompt brings it back
  std::size_t unseen_asked = 0, unseen_recalled = 0;  // by a phrasing that wasn't taught
  std::size_t others_asked = 0, others_changed = 0;   // facts known before, and what else is recalled now
};

class Examiner {
 public:
  Examiner(const Lexicon& lexicon, QuestionKeys& keys) : lexicon_(lexicon), keys_(keys) {}

  /// `taught`: ids of `after` that are new or changed. `before`: null for a domain that is new.
  base::Result<Exam> examine(const Domain* before, const Domain& after,
                             const std::vector<std::string>& taught) const;

 private:
  struct Asking {
    bool by_meaning = false;  // or by the words alone
  };
  /// What fires first; null: nothing.
  base::Result<const Slot*> ask(const Domains& domains, const std::string& question, Asking how) const;
  base::Status examine_taught(const Domains& now, const Slot* slot, Exam& exam) const;
  base::Status examine_others(const Domain& before, const Domains& now,
                              const std::vector<std::string>& taught, Exam& exam) const;

  const Lexicon& lexicon_;
  QuestionKeys& keys_;
};

}  // namespace pmt::knowledge_cache
