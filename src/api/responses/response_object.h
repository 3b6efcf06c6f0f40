// The object `response` of OpenAI's Responses API, built from a model's events: its items (reasoning, one
// message, function calls), status and usage. Used for whole answers, for each event of a stream that carries
// it, and for what is stored.
// Thread-safety: none; one object belongs to one request.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/event.h"

namespace pmt::api {

/// What an answer says of its request.
struct ResponseShape {
  std::string id_stem;  // "resp_" + it is the response's id; items are "msg_" + it + "o0", ...
  std::string model;    // as asked for, until somebody answers
  std::int64_t created_unix_s = 0;
  std::string previous_response_id;
  bool store = true;
  bool background = false;
  std::map<std::string, std::string, std::less<>> sent;  // parameters as JSON text

  std::string id() const { return "resp_" + id_stem; }
};

struct ResponseItem {
  enum class Kind { kReasoning, kMessage, kRefusal, kCall };  // a refusal is a message, too
  Kind kind = Kind::kMessage;
  std::string id;
  std::string text;  // reasoning, the message's or the refusal
  std::vector<llm::TokenLogprob> logprobs = {};
  std::string call_id = {}, name = {}, arguments = {};
  std::string sent =
      {};  // reasoning that only the server which encrypted it can read: the item as it wrote it
  const char* status = "in_progress";
};

class ResponseObject {
 public:
  explicit ResponseObject(ResponseShape shape) : shape_(std::move(shape)) {}

  void start(const llm::Started& started);
  /// The item that is written now. A new one closes none: end_item says when.
  ResponseItem& add_item(ResponseItem::Kind kind);
  std::vector<ResponseItem>& items() { return items_; }
  const std::vector<ResponseItem>& items() const { return items_; }
  const ResponseShape& shape() const { return shape_; }

  void set_status(const char* status) { status_ = status; }
  /// completed, or incomplete with its reason.
  void end(llm::FinishReason reason);
  void finish(llm::Done& done, std::int64_t now_unix_s);
  void fail(const base::Error& error, bool cancelled);

  std::string json() const;
  void append_json(std::string& out) const;
  static void append_item(std::string& out, const ResponseItem& item);
  /// A message's one part, as it is now.
  static void append_part(std::string& out, const ResponseItem& item);
  const char* status() const { return status_; }

 private:
  ResponseShape shape_;
  std::vector<ResponseItem> items_;
  const char* status_ = "in_progress";
  const char* incomplete_ = nullptr;  // why
  std::optional<llm::CacheReport> cache_;
  std::optional<llm::Usage> usage_;
  llm::Report report_;
  llm::MembersText more_ = {};  // of an upstream's answer
  std::int64_t completed_unix_s_ = 0;
  std::optional<base::Error> error_;
};

}  // namespace pmt::api
