#include "api/responses/response_writer.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "api/json/answer_parts.h"
#include "api/json/json_writer.h"
#include "api/json/render_parts.h"
#include "base/json_text.h"

namespace pmt::api {
namespace {

using Kind = ResponseItem::Kind;

const char* item_status(llm::FinishReason reason) {
  const bool cut = reason == llm::FinishReason::kLength || reason == llm::FinishReason::kContentFilter;
  return cut ? "incomplete" : "completed";
}

/// Whether the last item is one that a reader may take for the answer.
bool answers(const std::vector<ResponseItem>& items) {
  return !items.empty() && items.back().kind != Kind::kReasoning;
}

/// Reasoning that an upstream encrypted: what this API has of its items, so that they can be sent back.
std::vector<std::string> encrypted_items(const llm::Delta& delta) {
  static constexpr std::string_view kNames[] = {"id",    "type", "summary", "content", "encrypted_content",
                                                "status"};
  std::vector<std::string> out;
  for (const std::string& item : member_items(delta.more, "reasoning_items")) {
    const auto members = base::object_members(item);
    if (!members || base::value_of(*members, "type") != "\"reasoning\"") continue;
    std::string kept;
    for (const base::JsonMember& member : *members) {
      if (base::is_null(member.value) || std::ranges::find(kNames, member.name) == std::end(kNames)) continue;
      kept.append(kept.empty() ? "{" : ",").append(member.whole);
    }
    out.push_back(kept + '}');
  }
  return out;
}

class WholeWriter final : public AnswerWriter {
 public:
  explicit WholeWriter(ResponseWriterOptions options)
      : options_(std::move(options)), response_(std::move(options_.shape)) {}

  void add(llm::Started started) override {
    response_.start(started);
    options_.on_change(response_);
  }
  void add(llm::Delta delta) override {
    if (const std::string reasoning = reasoning_of(delta); !reasoning.empty())
      open(Kind::kReasoning).text += reasoning;
    for (std::string& item : encrypted_items(delta)) open(Kind::kReasoning).sent = std::move(item);
    if (const std::string refusal = refusal_of(delta); !refusal.empty()) open(Kind::kRefusal).text += refusal;
    if (delta.text.empty() && delta.logprobs.empty()) return;
    ResponseItem& item = open(Kind::kMessage);
    item.text += delta.text;
    for (llm::TokenLogprob& token : delta.logprobs) item.logprobs.push_back(std::move(token));
  }
  void add(llm::ChoiceEnd end) override {
    const std::vector<FunctionCall> calls = function_calls(end.tool_calls);
    if (calls.empty() && !answers(response_.items())) open(Kind::kMessage);
    for (const FunctionCall& call : calls) {
      ResponseItem& item = response_.add_item(Kind::kCall);
      item.call_id = call.id;
      item.name = call.name;
      item.arguments = call.arguments;
    }
    for (ResponseItem& item : response_.items()) item.status = "completed";
    response_.items().back().status = item_status(end.reason);  // a limit cuts what was written last
    response_.end(end.reason);
  }
  std::string finish(llm::Done& done) override {
    response_.finish(done, options_.unix_seconds());
    options_.on_change(response_);
    return response_.json();
  }
  void fail(const base::Error& error) override {
    response_.fail(error, error.code == base::Code::kCancelled);
    options_.on_change(response_);
  }

 private:
  ResponseItem& open(Kind kind) {
    std::vector<ResponseItem>& items = response_.items();
    if (!items.empty() && items.back().kind == kind && items.back().sent.empty()) return items.back();
    return response_.add_item(kind);
  }

  ResponseWriterOptions options_;
  ResponseObject response_;
};

class EventsWriter final : public StreamWriter {
 public:
  explicit EventsWriter(ResponseWriterOptions options)
      : options_(std::move(options)), response_(std::move(options_.shape)) {}

  void start(const llm::Started& started) override { response_.start(started); }
  std::string chunk(const llm::Delta& delta) override;
  std::string chunk(llm::ChoiceEnd end) override;
  std::string finish(llm::Done& done) override;
  std::string failure(const base::Error& error) override;
  void fail(const base::Error& error) override {
    response_.fail(error, error.code == base::Code::kCancelled);
    options_.on_change(response_);
  }

 private:
  /// Begins an event; `body` adds its members.
  template <class F>
  void event(std::string& out, std::string_view type, F&& body);
  void whole_event(std::string& out, std::string_view type);
  void item_event(std::string& out, std::string_view type);
  void part_event(std::string& out, std::string_view type);
  void text_event(std::string& out, std::string_view what, std::string_view name, std::string_view text,
                  const std::vector<llm::TokenLogprob>& logprobs);
  void arguments_event(std::string& out, std::string_view what, std::string_view name, std::string_view text);
  void begin(std::string& out);
  void open_item(std::string& out, Kind kind);
  /// The item that goes on, which the events are about; another kind's is ended first.
  void continue_item(std::string& out, Kind kind);
  void close_item(std::string& out, const char* status);
  void open_call(std::string& out, std::string_view id, std::string_view name);
  void add_piece(std::string& out, const llm::CallPiece& written);
  void add_text(std::string& out, Kind kind, const std::string& said);
  void place(ObjectWriter& w);
  ResponseItem& item() { return response_.items().back(); }

  ResponseWriterOptions options_;
  ResponseObject response_;
  std::int64_t number_ = 0;
  std::vector<std::size_t> calls_;  // the items of the calls so far
  bool begun_ = false;
  bool open_ = false;  // the last item goes on
};

template <class F>
void EventsWriter::event(std::string& out, std::string_view type, F&& body) {
  append_event(out, type, [&](ObjectWriter& w) {
    w.integer("sequence_number", number_++);
    body(w);
  });
}

void EventsWriter::whole_event(std::string& out, std::string_view type) {
  event(out, type, [this](ObjectWriter& w) { response_.append_json(w.member("response")); });
}

void EventsWriter::begin(std::string& out) {
  if (std::exchange(begun_, true)) return;
  options_.on_change(response_);
  whole_event(out, "response.created");
  whole_event(out, "response.in_progress");
}

/// Where in the output.
void EventsWriter::place(ObjectWriter& w) {
  w.string("item_id", item().id);
  w.integer("output_index", static_cast<std::int64_t>(response_.items().size()) - 1);
}

void EventsWriter::item_event(std::string& out, std::string_view type) {
  event(out, type, [this](ObjectWriter& w) {
    w.integer("output_index", static_cast<std::int64_t>(response_.items().size()) - 1);
    ResponseObject::append_item(w.member("item"), item());
  });
}

void EventsWriter::part_event(std::string& out, std::string_view type) {
  event(out, type, [this](ObjectWriter& w) {
    place(w);
    w.integer("content_index", 0);
    ResponseObject::append_part(w.member("part"), item());
  });
}

void EventsWriter::text_event(std::string& out, std::string_view what, std::string_view name,
                              std::string_view text, const std::vector<llm::TokenLogprob>& logprobs) {
  const Kind kind = item().kind;
  const char* const said = kind == Kind::kMessage   ? "output_text"
                           : kind == Kind::kRefusal ? "refusal"
                                                    : "reasoning_text";
  event(out, fmt::format("response.{}.{}", said, what), [&](ObjectWriter& w) {
    place(w);
    w.integer("content_index", 0);
    w.string(name, text);
    if (kind == Kind::kMessage) append_token_logprobs(w.member("logprobs"), logprobs);
  });
}

void EventsWriter::arguments_event(std::string& out, std::string_view what, std::string_view name,
                                   std::string_view text) {
  event(out, fmt::format("response.function_call_arguments.{}", what), [&](ObjectWriter& w) {
    place(w);
    w.string(name, text);
  });
}

void EventsWriter::open_item(std::string& out, Kind kind) {
  close_item(out, "completed");
  response_.add_item(kind);
  open_ = true;
}

void EventsWriter::continue_item(std::string& out, Kind kind) {
  if (open_ && item().kind == kind) return;
  open_item(out, kind);
  item_event(out, "response.output_item.added");
  part_event(out, "response.content_part.added");
}

void EventsWriter::close_item(std::string& out, const char* status) {
  if (!std::exchange(open_, false)) return;
  if (item().kind == Kind::kCall) {
    arguments_event(out, "done", "arguments", item().arguments);
  } else {
    text_event(out, "done", item().kind == Kind::kRefusal ? "refusal" : "text", item().text, item().logprobs);
    part_event(out, "response.content_part.done");
  }
  item().status = status;
  item_event(out, "response.output_item.done");
}

void EventsWriter::open_call(std::string& out, std::string_view id, std::string_view name) {
  open_item(out, Kind::kCall);
  item().call_id = id;
  item().name = name;
  calls_.push_back(response_.items().size() - 1);
  item_event(out, "response.output_item.added");
}

/// Pieces of a call whose successor has begun come no more; should they, the call's end has them.
void EventsWriter::add_piece(std::string& out, const llm::CallPiece& written) {
  const FunctionCall piece = call_piece(written);
  const auto index = static_cast<std::size_t>(written.index);
  if (index == calls_.size()) open_call(out, piece.id, piece.name);
  if (piece.arguments.empty() || index + 1 != calls_.size() || !open_ || item().kind != Kind::kCall) return;
  item().arguments += piece.arguments;
  arguments_event(out, "delta", "delta", piece.arguments);
}

void EventsWriter::add_text(std::string& out, Kind kind, const std::string& said) {
  if (said.empty()) return;
  continue_item(out, kind);
  item().text += said;
  text_event(out, "delta", "delta", said, {});
}

std::string EventsWriter::chunk(const llm::Delta& delta) {
  std::string out;
  const bool speaks = !delta.text.empty() || !delta.logprobs.empty();
  const std::string reasoning = reasoning_of(delta), refusal = refusal_of(delta);
  std::vector<std::string> encrypted = encrypted_items(delta);
  const bool thinks = !reasoning.empty() || !encrypted.empty();
  if (!speaks && !thinks && refusal.empty() && delta.calls.empty()) return out;
  begin(out);
  add_text(out, Kind::kReasoning, reasoning);
  for (std::string& whole : encrypted) {
    continue_item(out, Kind::kReasoning);
    item().sent = std::move(whole);
    close_item(out, "completed");
  }
  add_text(out, Kind::kRefusal, refusal);
  if (speaks) {
    continue_item(out, Kind::kMessage);
    item().text += delta.text;
    item().logprobs.insert(item().logprobs.end(), delta.logprobs.begin(), delta.logprobs.end());
    text_event(out, "delta", "delta", delta.text, delta.logprobs);
  }
  for (const llm::CallPiece& piece : delta.calls) add_piece(out, piece);
  return out;
}

std::string EventsWriter::chunk(llm::ChoiceEnd end) {
  std::string out;
  begin(out);
  const std::vector<FunctionCall> calls = function_calls(end.tool_calls);
  if (calls.empty() && !answers(response_.items())) continue_item(out, Kind::kMessage);
  const std::size_t streamed = std::min(calls_.size(), calls.size());
  for (std::size_t i = 0; i < streamed; ++i) response_.items()[calls_[i]].arguments = calls[i].arguments;
  for (std::size_t i = streamed; i < calls.size(); ++i) {
    open_call(out, calls[i].id, calls[i].name);
    item().arguments = calls[i].arguments;
    arguments_event(out, "delta", "delta", item().arguments);
  }
  close_item(out, item_status(end.reason));
  response_.end(end.reason);
  return out;
}

std::string EventsWriter::finish(llm::Done& done) {
  std::string out;
  begin(out);
  response_.finish(done, options_.unix_seconds());
  whole_event(out, std::string("response.") + response_.status());
  options_.on_change(response_);
  return out;
}

std::string EventsWriter::failure(const base::Error& error) {
  std::string out;
  begin(out);
  fail(error);
  whole_event(out, "response.failed");
  return out;
}

}  // namespace

std::unique_ptr<AnswerWriter> make_response_writer(ResponseWriterOptions options) {
  return std::make_unique<WholeWriter>(std::move(options));
}

std::unique_ptr<StreamWriter> make_response_stream_writer(ResponseWriterOptions options) {
  return std::make_unique<EventsWriter>(std::move(options));
}

}  // namespace pmt::api
