// The tokens of one answer, as whoever computed it counted them; of an upstream's answer also what the provider's
// prompt cache did (note 0032). A prompt's tokens are of three kinds, which don't overlap: read from that cache,
// written to it, and those that it had nothing to do with.
// Thread-safety: plain data and pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace pmt::llm {

/// Members of a JSON object as text, without its braces: `"a":1,"b":[]`; "" for none. What an upstream said that
/// has no member here is kept so, as it was written.
using MembersText = std::string;

struct Usage {
  std::int64_t prompt_tokens = 0;      // all of them: those that the provider's cache had, too
  std::int64_t completion_tokens = 0;  // those of thinking, too
  std::optional<double> usd = {};      // what it cost, where that is known better than by a price table
  std::optional<std::int64_t> total_tokens = {};  // an upstream's, where it isn't their sum
  MembersText details = {};                       // what else an upstream said in its usage object
  std::optional<std::int64_t> cached_prompt_tokens =
      {};                                 // read from the provider's cache; unset: nobody said
  std::int64_t cache_written_tokens = 0;  // of the prompt, written to it
  std::int64_t reasoning_tokens = 0;      // of the answer, where somebody counted them
};

/// Of the prompt: neither read nor written, so paid as plain input. Never negative.
std::int64_t plain_prompt_tokens(const Usage& usage);

/// Adds the tokens of another call; what is no number of tokens stays that of `to`.
void add(Usage& to, const Usage& more);

}  // namespace pmt::llm
