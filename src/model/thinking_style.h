// How a model thinks before it answers, as its chat template has it: what stands around its thoughts, and whether
// that is all there is to it. llama.cpp's chat code knows the families; it is asked, and then tried, so that no list
// of them is kept here (note 0036).
// Thread-safety: pure. Cost: some milliseconds, since the template is run many times: once a model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/chat_template.h"
#include "model/vocab.h"

namespace pmt::model {

struct ThinkingStyle {
  /// "<think>" and "</think>"; "": only its parser can tell thoughts from answers.
  std::string open = {}, close = {};
  /// A thought is what is between them at the answer's beginning, the answer all that follows, and history is shown
  /// as ChatTemplate shows it. Else NativeChat renders the conversation and reads the answer.
  bool plain = true;
  std::vector<std::int32_t> shown = {};  // control tokens in the two, whose names are text then
};

/// Of `source`, which `ours` was made of. None: a model with this template doesn't think.
std::optional<ThinkingStyle> thinking_style(const Vocab& vocab, const std::string& source,
                                            const ChatTemplate& ours);

}  // namespace pmt::model
