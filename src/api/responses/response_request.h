// POST /v1/responses' body -> chat's words (json/chat_body.h), and what of it only this API knows.
// In two steps, since an earlier response may stand before the input: read_response_request says what is
// asked; finish_response_request joins the conversation and makes the chat request.
// A parameter that we don't know, or can't follow, is refused by name: an answer that ignored it would be
// another one. Thread-safety: pure functions. Errors: kInvalidArgument under the caller's path.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/json/chat_body.h"
#include "api/json/parse.h"
#include "base/result.h"

namespace pmt::api {

struct ResponseInputItem {
  std::string json;            // as it was sent
  std::string reference = {};  // it only names another item: that one's id
  bool joined = false;         // it is what a reference named
};

struct ResponseRequest {
  ChatBody body;  // the parameters; no messages yet
  std::vector<ResponseInputItem> items;
  bool input_was_text = false;
  std::optional<std::string> instructions;
  std::string previous_response_id;
  bool store = true;
  bool background = false;
  bool stream = false;
  /// Parameters by name, as JSON text: an answer repeats them.
  std::map<std::string, std::string, std::less<>> sent;
};

base::Result<ResponseRequest> read_response_request(const std::string& body);

struct ResponseConversation {
  std::vector<std::string> history = {};  // items of earlier responses, oldest first
  std::string id_stem = {};               // for items without an id
};

struct ResponseCall {
  CompletionCall call;  // its refusals are in chat's words
  std::string chat;     // what it was read from: the request in chat's words
  FieldNames names;
  std::vector<std::string> input;  // the request's own items, as they are kept; none without `store`
  std::string own;                 // the request in this API's words, its conversation in its input
};

/// `body`: what the request was read from. An item that is a reference still is refused. Errors also those of
/// read_completion, in the caller's words.
base::Result<ResponseCall> finish_response_request(ResponseRequest request,
                                                   const ResponseConversation& conversation,
                                                   const std::string& body, EngineOptionsReaders engines);

}  // namespace pmt::api
