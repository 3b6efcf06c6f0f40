// What the arms of eval documents came to: counted by set and by what was found, each beside the text's own answers to
// the same questions. Thread-safety: none.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "evals/documents_worlds.h"
#include "lab/measure.h"

namespace pmt::evals {

/// An answer, and what it took.
struct DocumentReply {
  std::string text;
  std::string attached = {};  // "packs", "packs_then_text", "text"; "": nothing was shown
  std::size_t shown = 0;      // passages
  bool right_shown = false;   // one of them tells
  double first_token_s = 0, read_tokens = 0;
};

inline constexpr const char* kTextArm = "text";
inline constexpr const char* kPacksArm = "packs";

/// One of its answers stands in the text, without case, articles and punctuation.
bool is_right(const DocumentItem& item, const std::string& text);

class DocumentArms {
 public:
  explicit DocumentArms(std::string model) : model_(std::move(model)) {}
  /// `replies`: of one question, by arm; of every question the same arms, the text's among them.
  void add(const DocumentItem& item, std::map<std::string, DocumentReply> replies);
  std::size_t asked() const { return asked_.size(); }
  /// The text's right answers and those of packs so far, in words.
  std::string so_far() const;
  /// A row for each set, each group of its questions and each arm.
  void add_rows(lab::Result& result) const;
  void add_targets(lab::Result& result) const;

 private:
  struct Asked {
    std::string set;
    std::map<std::string, DocumentReply> replies;
    std::map<std::string, bool> right;
    double load = 0;  // the machine's, of a minute
  };
  using Group = std::vector<const Asked*>;
  template <class Is>
  Group group(Is&& is) const;
  void add_group(const std::string& set, const std::string& name, const Group& of, lab::Result& result) const;

  const std::string model_;
  std::vector<Asked> asked_;
};

}  // namespace pmt::evals
