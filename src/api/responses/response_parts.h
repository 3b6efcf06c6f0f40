// The parts of an item's content: text, refusals, and images and files, which go to an upstream as chat has
// them. Thread-safety: pure. Errors: kInvalidArgument, the field below the content.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/json/chat_body.h"
#include "api/json/json_reader.h"
#include "base/result.h"

namespace pmt::api {

struct ResponseParts {
  std::vector<ChatPart> parts = {};
  std::vector<std::string> kept = {};  // JSON texts, as they are stored and listed
  bool as_text = false;                // came as one string

  std::string kept_array() const;
  std::string kept_text() const;  // the string's JSON
};

/// `value`: a string or an array of parts. `own`: its path. `type`: of the part that a string is short for.
base::Status read_response_parts(Json value, const std::string& own, std::string_view type,
                                 ResponseParts& out);

}  // namespace pmt::api
