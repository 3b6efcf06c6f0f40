// A chat request's body -> that of Anthropic's Messages API (note 0031 has the table). Named in `ignored` is what the
// API has no word for and the answer can do without (a seed, penalties); what would make it another question is
// refused by its path.
// Requires: `chat` was checked and is an object. Thread-safety: pure functions. Errors: kInvalidArgument.
#pragma once

#include <string_view>

#include "base/result.h"
#include "upstream/chat_words.h"
#include "upstream/remote_options.h"

namespace pmt::upstream {

base::Result<NativeBody> message_body(std::string_view chat, const RemoteOptions& options, bool stream);

}  // namespace pmt::upstream
