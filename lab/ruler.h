// Long texts with questions of RULER's kinds (arXiv 2404.06654), made from a seed: needles, variables to follow, words to
// count, and questions about one paragraph among others. Sentences, names and words are ours; essays and paragraphs
// are the caller's. We differ from RULER's programs where a kind allows several questions on one text, and in wording.
//
// A text is as long as fits: its prompt and the room for the answer come to at most `tokens` and to at least 97% of
// them, by the caller's count. The i-th text of a kind, length and seed is the same however many are made.
// Thread-safety: pure functions. Errors: kInvalidArgument (too short for the kind; nothing to make it of).
// Cost: some ten counts of tokens a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pmt::lab {

enum class RulerKind {
  kSingleWords,    // a word in sentences that repeat
  kSingleNumber,   // a number in an essay
  kSingleUuid,     // a UUID in an essay
  kMultiKey,       // one of four numbers in an essay
  kMultiKeyLines,  // one number where every line has one
  kMultiValue,     // all four numbers of one name
  kMultiQuery,     // the numbers of four names at once
  kVariables,      // all variables that a value was handed on to
  kCommonWords,    // the ten words of a list that stand there most often
  kFrequentWords,  // the three most frequent of words in code
  kQa              // what one paragraph says, among others
};

/// All of them, in that order.
const std::vector<RulerKind>& ruler_kinds();
/// "single_words", "multikey", ...: what follows ruler_ in a task's name.
const char* name_of(RulerKind kind);
std::optional<RulerKind> ruler_kind(std::string_view name);
/// Of one text.
int questions_of(RulerKind kind);
/// Whether RulerSources::essay is used.
bool needs_essay(RulerKind kind);
/// The room for an answer.
int answer_tokens(RulerKind kind);

enum class RulerMatch { kAll, kAny };
/// RULER's string_match_all for everything but questions on paragraphs, which take string_match_part.
RulerMatch match_of(RulerKind kind);
/// The share of `wanted` that stands in `said`, letters in any case; kAny: 1 where one of them does.
double ruler_share(RulerMatch match, const std::vector<std::string>& wanted, const std::string& said);

struct RulerQuestion {
  std::string text;  // the user's words behind the context
  std::vector<std::string> wanted;
};

struct RulerText {
  std::string context;
  std::vector<RulerQuestion> questions;
};

struct RulerParagraph {
  std::string text;
  std::vector<RulerQuestion> questions;
};

/// What isn't ours. A kind that needs none takes none.
struct RulerSources {
  std::vector<std::string> essay;  // sentences
  std::vector<RulerParagraph> paragraphs;
};

/// How many tokens a prompt has whose user's turn this is, the model's template included.
using RulerCount = std::function<std::int64_t(const std::string& turn)>;

struct RulerOptions {
  RulerKind kind = RulerKind::kSingleWords;
  int tokens = 4096;
  int texts = 1;
  std::uint32_t seed = 1;
};

base::Result<std::vector<RulerText>> make_ruler(const RulerOptions& options, const RulerSources& sources,
                                                const RulerCount& count);

}  // namespace pmt::lab
