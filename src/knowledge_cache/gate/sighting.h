// Gate 1: which taught things does a text name? Words against the domains' indices, nothing computed
// (note 0013).
//
// A name counts when all its words stand there (one letter wrong is forgiven once), or a part of it that only
// one taught thing has; and not when the words beside it make it another name ("Lusrinar Foods" isn't
// "Lusrinar Labs"). What could be two things is neither. Thread-safety: pure functions. Cost: under 1 us a
// word.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "knowledge_cache/gate/mention.h"
#include "knowledge_cache/packs/domain.h"

namespace pmt::knowledge_cache {

using Domains = std::vector<std::shared_ptr<const Domain>>;

struct Sighting {
  std::size_t domain = 0, thing = 0;  // indices into the domains, and into its things
  std::size_t first = 0, last = 0;    // words, half-open
  std::size_t begin = 0, end = 0;     // bytes
  bool whole = false;                 // the full name
  bool number_left_out = false;       // the part of the name that isn't there has a number
  int wrong_letters = 0;
};

/// Of each domain, whether it had a say: a word of the text, or of a name that is looked at for it, is a word of a
/// name there. Without the domains that had none the sightings are the same.
using Consulted = std::vector<bool>;

/// In the text's order; none overlap. Sets those places of `consulted` (if not null, of the domains' size) that had a
/// say, and leaves the others.
std::vector<Sighting> find_sightings(const std::vector<text::Word>& words, const Domains& domains,
                                     const Lexicon& lexicon, Consulted* consulted = nullptr);

}  // namespace pmt::knowledge_cache
