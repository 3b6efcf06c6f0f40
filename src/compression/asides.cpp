#include "compression/asides.h"

#include <string>

namespace pmt::compression {

bool knows_chat_turns(const model::Vocab& vocab) {
  return vocab.chat_template() && vocab.chat_template()->find("<|im_start|>") != std::string::npos;
}

Asides asides_for(const model::Vocab& vocab) {
  const bool turns = knows_chat_turns(vocab);
  const std::string user = turns ? "<|im_start|>user\n" : "\n\n";
  const std::string answer = turns ? "<|im_end|>\n<|im_start|>assistant\n" : "\n\n";
  const auto tokens = [&](const std::string& text) {
    return vocab.tokenize(text, {.add_special = false, .parse_special = true});
  };
  Asides out{tokens("\n\nRepeat the previous context exactly." + answer), {}};
  // Small talk finds instructions; bare questions find the names, dates and numbers that one may be about.
  for (const char* said : {"Hello!", "What is two plus three?", "Tell me a story.", "Who is it?",
                           "When is it?", "How much is it?", "What is it called?"})
    out.turns.push_back(tokens(user + said + answer));
  return out;
}

}  // namespace pmt::compression
