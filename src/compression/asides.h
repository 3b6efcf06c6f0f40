// What is read after a prompt, on a fork that is dropped, to see what a reader of it looks at (note 0005).
// Immutable; any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "model/vocab.h"

namespace pmt::compression {

struct Asides {
  std::vector<std::int32_t> repeat;              // asks the model to repeat what it has read
  std::vector<std::vector<std::int32_t>> turns;  // of a user who asks nothing of the text, and to answer them
};

Asides asides_for(const model::Vocab& vocab);

/// Whether turns are marked as ChatML does; of other models a sentence alone has to do.
bool knows_chat_turns(const model::Vocab& vocab);

}  // namespace pmt::compression
