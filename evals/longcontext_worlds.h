// Long texts with questions in the shapes that recursive language models are published with, made from a seed: one
// needle in a haystack (S-NIAH, arXiv 2404.06654), and labelled records to be counted and compared (OOLONG, arXiv
// 2511.02817, its half whose labels stand in the text). All sentences are ours.
//
// The same seed makes the same text. Thread-safety: pure functions. Cost: some 100 MB/s.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace pmt::evals {

enum class LongAnswer : std::uint8_t { kNeedle, kCount, kChoice };

struct LongItem {
  std::string task;  // "needle", "count", "count of two", "most", "least", "compare"
  LongAnswer kind = LongAnswer::kNeedle;
  std::string question, wanted;
  std::vector<std::string> choices = {};  // of kChoice: what may be named, the wanted one too
};

struct LongText {
  std::string text;
  std::vector<LongItem> items;
};

/// How a record is written: fields with their names between bars, or a sentence.
enum class RecordForm : std::uint8_t { kFields, kSentences };
/// How many things the records of kSentences are about; the seed chooses.
inline constexpr unsigned kRecordKinds = 4;

/// One sentence that tells a number, and prose of `bytes` around it that tells numbers of other things.
LongText needle_text(std::size_t bytes, unsigned seed);

/// Records of about `bytes`, one a line, below a sentence that says what they are; `n` questions about all of them, of
/// each task in turn. Which label is asked for as most or least common is so by at least one record.
LongText records_text(std::size_t bytes, RecordForm form, int n, unsigned seed);

}  // namespace pmt::evals
