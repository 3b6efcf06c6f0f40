// The answers of ./dev eval compression as a file that grows a line an answer, so that a long measurement can
// be stopped, gone on with, and split over machines; and the rows that they come to, for people and for
// data/kv_quality.json. Not thread-safe.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "evals/compression_asker.h"
#include "lab/measure.h"

namespace pmt::evals {

/// What is asked: a task's length, its context and the question on it.
struct Asked {
  std::string task;
  int tokens = 0;  // TaskText::tokens
  int item = 0;
  int question = 0;
};

/// One question under one setting, beside what the exact cache makes of it.
struct Answer {
  Asked asked;
  Setting setting;
  std::string mode;   // that the request came to
  std::string found;  // where the question was found
  double ratio_achieved = 1;
  std::int64_t prompt_tokens = 0;
  std::int64_t prefix_tokens_reused = 0;
  double full = 0;   // score_of the exact cache's answer
  double score = 0;  // of this one
};

class CompressionRecord {
 public:
  /// Reads what `path` has of this seed (an unfinished last line is dropped) and goes on writing there; "":
  /// or `only_read`: nothing is written. Errors: kIo; kCorrupt when the file is of another seed or no such
  /// file.
  base::Status open(const std::string& path, int seed, bool only_read);
  /// Of a question that was answered under that setting before, the first answer counts.
  void add(const Answer& answer);
  /// Null: it isn't there.
  const Answer* find(const Asked& asked, const Setting& setting) const;
  /// A row for each task, length of a task's own, mode and ratio.
  std::vector<nlohmann::ordered_json> rows() const;

  struct Provenance {
    std::string model_digest, model_name, date;
    std::int64_t file_bytes = 0;
  };
  /// In the form of data/kv_quality.json: a row for each task, length of prompts, mode and ratio.
  nlohmann::ordered_json results(const Provenance& of) const;

 private:
  std::vector<Answer> answers_;
  std::map<std::string, std::size_t> known_;  // where in answers_, by what was asked and how
  std::ofstream file_;
};

/// What was asked of a row, or nothing.
std::vector<lab::Target> compression_targets(const std::vector<nlohmann::ordered_json>& rows);

}  // namespace pmt::evals
