// The pinned llama.cpp's chat code, for the files of this room that ask it about a template.
// Thread-safety: the functions may be called from any thread. Errors: exceptions, which their callers catch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <chat.h>

#include "model/vocab.h"

namespace pmt::model {

/// Throws where `source` isn't a template.
common_chat_templates_ptr pinned_templates(const Vocab& vocab, const std::string& source);

/// The last line of an engine's report: what is before it lists the template.
std::string last_line(const char* what);

/// A control token's name; "" for none.
std::string name_of(const Vocab& vocab, std::optional<std::int32_t> token);

}  // namespace pmt::model
