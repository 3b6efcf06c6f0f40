// The items of POST /v1/responses' `input` (messages, function calls, their outputs, reasoning) -> chat's
// messages, and the form in which they are kept and listed.
// An assistant's message and the calls that follow it are one message of chat; so are the calls of one turn,
// and the reasoning before them.
// Thread-safety: none. Errors: kInvalidArgument, the field below the item.
#pragma once

#include <string>
#include <vector>

#include "api/json/chat_body.h"
#include "api/json/json_reader.h"
#include "base/result.h"

namespace pmt::api {

class ResponseItemsReader {
 public:
  struct Options {
    std::string id_stem = {};  // of the ids of items that came without: "msg_" + stem + "i0"
  };
  ResponseItemsReader(std::vector<ChatMessage>& out, Options options)
      : out_(out), options_(std::move(options)) {}

  /// `own`: the item's path in the caller's request. `kept`: how it is stored and listed, if not null.
  base::Status read(Json item, const std::string& own, std::string* kept);

  struct Item;

 private:
  base::Status read_message(Json value, Item& item);
  base::Status read_call(Json value, Item& item);
  base::Status read_output(Json value, Item& item);
  base::Status read_reasoning(Json value, Item& item);
  ChatMessage& assistant(const std::string& own);

  std::vector<ChatMessage>& out_;
  const Options options_;
  std::string reasoning_;  // of the assistant's message to come
  std::size_t kept_ = 0;   // an id names the place among those that are kept
  std::size_t open_ = 0;   // the assistant's message that calls join, counted from 1; 0: none
};

/// What `input: "text"` is short for.
std::string text_item(std::string_view text);

/// The type of an item: its own word, or what one without it must be.
base::Result<std::string> response_item_type(Json item);

}  // namespace pmt::api
