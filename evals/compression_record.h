// The answers of ./dev eval compression as a file that grows a line an answer, so that a long measurement can
// be stopped, gone on with, and split over machines; and the rows that they come to. Not thread-safe.
#pragma once

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "evals/compression_runner.h"
#include "lab/measure.h"

namespace pmt::evals {

class CompressionRecord {
 public:
  /// Reads what `path` has of this seed (an unfinished last line is dropped) and goes on writing there; "":
  /// or `only_read`: nothing is written. Errors: kIo; kCorrupt when the file is of another seed or no such
  /// file.
  base::Status open(const std::string& path, int seed, bool only_read);
  void add(const Answer& answer);
  bool has(const std::string& task, int item, const Setting& setting) const;
  /// A row for each task, mode and ratio, and for ratio 1 one a mode.
  std::vector<nlohmann::ordered_json> rows() const;

 private:
  std::vector<Answer> answers_;
  std::set<std::string> known_;
  std::ofstream file_;
};

/// What was asked of a row, or nothing.
std::vector<lab::Target> compression_targets(const std::vector<nlohmann::ordered_json>& rows);

}  // namespace pmt::evals
