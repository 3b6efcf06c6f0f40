// A domain's documents, cut into passages and indexed by their words: an immutable snapshot, as its facts are
// (packs/domain.h).
//
// What a question finds is decided by how much of it a passage covers (text/bm25.h): nothing, where none covers enough.
// Thread-safety: immutable once made. Cost: made in 0.1 us a byte; find() as Bm25::search.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "knowledge_cache/documents/document.h"
#include "text/bm25.h"

namespace pmt::knowledge_cache {

class Documents {
 public:
  using List = std::vector<std::shared_ptr<const Document>>;
  struct Passage {
    std::size_t document = 0;  // index into list()
    std::size_t number = 0;    // of the document's, from 0
    std::size_t begin = 0, end = 0;
    bool goes_on = false;       // the later part of a paragraph
    std::string headings = {};  // above it: what it is about
  };
  struct Found {
    std::size_t passage = 0;  // index into passages()
    double score = 0, covered = 0;
  };

  explicit Documents(List list);

  const List& list() const { return list_; }
  const Document* find_document(std::string_view name) const;
  const std::vector<Passage>& passages() const { return passages_; }
  std::string_view text_of(const Passage& passage) const;
  std::size_t passages_of(const Document& document) const;
  /// Of the texts.
  std::size_t bytes() const { return bytes_; }

  /// What may answer the question, best first: one passage where it stands out, else some, kRankedMax at most. Empty:
  /// nothing is found with confidence.
  std::vector<Found> find(std::string_view question) const;

 private:
  List list_;
  std::vector<Passage> passages_;
  text::Bm25 index_;
  std::size_t bytes_ = 0;
};

/// Questions that are asked in more bytes hold a text of their own.
inline constexpr std::size_t kQuestionBytesMax = 1'000;
inline constexpr std::size_t kRankedMax = 12;

}  // namespace pmt::knowledge_cache
