#include "base/usage_counter.h"

namespace pmt::base {

const char* to_string(Surface surface) {
  switch (surface) {
    case Surface::kCompletions:
      return "completions";
    case Surface::kPermutation:
      return "permutation";
    case Surface::kRlm:
      return "rlm";
    case Surface::kUnified:
      return "unified";
  }
  return "unknown";
}

}  // namespace pmt::base
