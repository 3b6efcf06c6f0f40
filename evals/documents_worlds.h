// Documents with questions whose answers stand in one known place: staff manuals of invented firms, and people's
// articles with people's questions. Thread-safety: pure functions; one seed, one world.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace pmt::evals {

struct DocumentItem {
  std::string set;                 // "manuals" or "articles"
  std::string document;            // its name
  std::size_t begin = 0, end = 0;  // bytes of its text: what tells the answer is between them
  std::string question;
  std::vector<std::string> answers;  // one is enough
};

struct DocumentWorld {
  std::map<std::string, std::string> documents;  // by name
  std::vector<DocumentItem> items;               // in random order
};

/// A manual each of so many firms, five sections long: all tell of the same things in much the same words, each with
/// figures and names of its own.
DocumentWorld manuals(int firms, unsigned seed);

/// So many articles of DATA/xquad_en/xquad.en.json, chosen at random: an article's paragraphs joined are a document.
/// 0: all of them. The program ends where the file can't be read.
DocumentWorld articles(const std::string& data, int count, unsigned seed);

}  // namespace pmt::evals
