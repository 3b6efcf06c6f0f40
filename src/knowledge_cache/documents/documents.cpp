#include "knowledge_cache/documents/documents.h"

#include <algorithm>
#include <utility>

#include "text/passages.h"

namespace pmt::knowledge_cache {
namespace {

/// Of a question's weight, what a passage must hold for it to be about the same (measured in note 0046).
constexpr double kCoveredMin = 0.5;
/// No further ones below this of the best's score.
constexpr double kBeside = 0.6;

}  // namespace

Documents::Documents(List list) : list_(std::move(list)) {
  for (std::size_t d = 0; d < list_.size(); ++d) {
    const std::string& text = list_[d]->text;
    bytes_ += text.size();
    std::size_t number = 0;
    for (const text::Passage& passage : text::passages_of(text)) {
      passages_.push_back({d, number++, passage.begin, passage.end, passage.goes_on, passage.headings});
      // What it is about stands above it, not in it.
      index_.add(passage.headings + text.substr(passage.begin, passage.end - passage.begin));
    }
  }
}

const Document* Documents::find_document(std::string_view name) const {
  const auto found =
      std::find_if(list_.begin(), list_.end(), [&](const auto& document) { return document->name == name; });
  return found == list_.end() ? nullptr : found->get();
}

std::string_view Documents::text_of(const Passage& passage) const {
  return std::string_view(list_[passage.document]->text).substr(passage.begin, passage.end - passage.begin);
}

std::size_t Documents::passages_of(const Document& document) const {
  return static_cast<std::size_t>(
      std::count_if(passages_.begin(), passages_.end(),
                    [&](const Passage& passage) { return list_[passage.document].get() == &document; }));
}

std::vector<Documents::Found> Documents::find(std::string_view question) const {
  std::vector<Found> found;
  if (question.size() > kQuestionBytesMax) return found;
  for (const text::Bm25::Hit& hit : index_.search(question, kRankedMax)) {
    const bool counts = found.empty() ? hit.covered >= kCoveredMin : hit.score >= kBeside * found[0].score;
    if (!counts) break;
    found.push_back({hit.passage, hit.score, hit.covered});
  }
  return found;
}

}  // namespace pmt::knowledge_cache
