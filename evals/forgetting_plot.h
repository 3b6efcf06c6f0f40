// The picture of `eval forgetting --plot`: what each method still recalls of each domain after each domain
// that it was taught, a panel a method. A plain SVG that follows the reader's light or dark scheme.
#pragma once

#include <string>
#include <vector>

namespace pmt::evals {

struct Retention {
  std::string method;
  std::vector<std::vector<double>> after;  // [domains taught - 1][domain]: share recalled, 0 to 1
};

/// False where the file can't be written.
bool plot(const std::string& path, const std::vector<Retention>& methods);

}  // namespace pmt::evals
