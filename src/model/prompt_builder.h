// Puts a prompt together out of the template's text, in which control tokens' names act as such, and of
// users' text, in which they never do.
//
// The text between two control tokens is tokenised in one go, whoever wrote it, so that merges across the
// border of two parts are the usual ones. Also what Vocab::tokenize does for parse_special: libllama's own
// way of cutting at names takes time quadratic in their number (34 s for 1 MB of them, measured), this one is
// linear. It differs where one token's name begins inside another's: here the leftmost wins, there the
// longest anywhere.
// Thread-safety: one thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/special_tokens.h"

namespace pmt::model {

class Vocab;

class PromptBuilder {
 public:
  /// `vocab` must outlive it.
  explicit PromptBuilder(const Vocab& vocab) : vocab_(&vocab) {}

  void add_user_text(std::string_view text);
  /// A name counts only if it lies in `text` as a whole.
  void add_template_text(std::string_view text);
  /// The tokens; begin and end of sequence are the caller's business.
  std::vector<std::int32_t> finish();

 private:
  void add_control(const SpecialToken& token);
  void end_plain();

  const Vocab* vocab_;
  std::string plain_;        // since the last control token
  bool strip_next_ = false;  // the last control token swallows white space after it
  std::vector<std::int32_t> tokens_;
};

}  // namespace pmt::model
