// Long texts with planted sentences, and questions whose answers are known. The text around them is given
// (books) or made up. Thread-safety: pure functions; one seed, one world.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace pmt::evals {

struct ProseItem {
  std::string task;  // "needle", "two hops", "absent", "count", "sum"
  std::string question;
  std::string wanted;  // "": the text doesn't tell
};

struct ProseWorld {
  std::string text;
  std::vector<ProseItem> items;
};

/// Sentences of invented words: about `bytes` of them, in paragraphs.
std::string filler_text(std::size_t bytes, unsigned seed);

/// `n` questions of each task. Each thing that is asked about has some twenty others like it, told of in the
/// same words. `filler`: its paragraphs stay whole.
ProseWorld prose_world(const std::string& filler, int n, unsigned seed);

/// One invented record a line between the filler's lines, `records` of them; n counts and n sums over them.
ProseWorld records_world(const std::string& filler, int records, int n, unsigned seed);

}  // namespace pmt::evals
