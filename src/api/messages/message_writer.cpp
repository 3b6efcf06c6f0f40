#include "api/messages/message_writer.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "api/errors.h"
#include "api/json/answer_parts.h"
#include "api/json/json_writer.h"
#include "api/json/render_parts.h"
#include "api/messages/message_error.h"
#include "base/json_text.h"

namespace pmt::api {
namespace {

enum class Kind { kThinking, kText, kToolUse, kRedacted };

/// Names that this API has itself, beside those of an upstream's answer.
constexpr std::string_view kOwn[] = {"id",    "type",        "role",          "model", "content",
                                     "delta", "stop_reason", "stop_sequence", "usage", "permutation"};

struct Block {
  Kind kind = Kind::kText;
  std::string text;  // or thinking; kRedacted: the block as it was written
  FunctionCall call = {};
  std::string signature = {};  // of thinking, by the server that thought it
};

/// What an upstream that speaks this API said of a message's thinking: thinking_blocks.
struct Thought {
  std::string whole, text, signature;
  bool redacted = false;
};

std::vector<Thought> thoughts_of(const llm::Delta& delta) {
  std::vector<Thought> out;
  for (std::string& block : member_items(delta.more, "thinking_blocks")) {
    const auto members = base::object_members(block);
    if (!members) continue;
    const auto text = [&members](std::string_view name) {
      return base::json_string(base::value_of(*members, name)).value_or("");
    };
    Thought thought{.whole = {},
                    .text = text("thinking"),
                    .signature = text("signature"),
                    .redacted = text("type") == "redacted_thinking"};
    thought.whole = std::move(block);
    out.push_back(std::move(thought));
  }
  return out;
}

/// Why it stopped, where the upstream had this API's own word for it.
struct OwnStop {
  std::string reason, sequence;

  void take(const llm::ChoiceEnd& end) {
    sequence = member_text(end.choice_more, "stop_sequence");
    reason = member_text(end.choice_more, "native_finish_reason");
    constexpr std::string_view kWords[] = {"stop_sequence", "pause_turn", "model_context_window_exceeded"};
    if (std::ranges::find(kWords, reason) == std::end(kWords)) reason.clear();
  }
  void append_to(ObjectWriter& w, const char* otherwise) const {
    w.string("stop_reason", reason.empty() ? otherwise : reason);
    sequence.empty() ? w.null("stop_sequence") : w.string("stop_sequence", sequence);
  }
};

const char* stop_reason(llm::FinishReason reason, bool calls, bool refused) {
  if (refused) return "refusal";
  if (calls && reason != llm::FinishReason::kLength) return "tool_use";
  switch (reason) {
    case llm::FinishReason::kStop:
      return "end_turn";
    case llm::FinishReason::kLength:
      return "max_tokens";
    case llm::FinishReason::kToolCalls:
      return "tool_use";
    case llm::FinishReason::kContentFilter:
      return "refusal";
  }
  return "end_turn";
}

/// An object here; what a model wrote may be none.
void append_input(std::string& out, const std::string& arguments) {
  if (arguments.empty()) {
    out += "{}";
    return;
  }
  if (base::object_members(arguments)) {
    out += arguments;
    return;
  }
  ObjectWriter w(out);
  w.string("arguments", arguments);
  w.end();
}

/// Input tokens are here those that no cache read or was written.
void append_message_usage(std::string& out, const llm::Usage& usage, const llm::Report& report) {
  const std::int64_t cached = std::min(cached_tokens(usage, report), usage.prompt_tokens);
  const std::int64_t written = std::min(written_tokens(usage, report), usage.prompt_tokens - cached);
  ObjectWriter w(out);
  w.integer("input_tokens", usage.prompt_tokens - cached - written);
  w.integer("cache_creation_input_tokens", written);
  w.integer("cache_read_input_tokens", cached);
  w.integer("output_tokens", usage.completion_tokens);
  w.end();
}

/// The message but for its content and what follows it.
void open_message(ObjectWriter& w, const MessageShape& shape, std::string_view model) {
  w.string("id", shape.id);
  w.string("type", "message");
  w.string("role", "assistant");
  w.string("model", model);
}

class WholeWriter final : public AnswerWriter {
 public:
  explicit WholeWriter(MessageShape shape) : shape_(std::move(shape)) {}

  void add(llm::Started started) override { started_ = std::move(started); }
  void add(llm::Delta delta) override {
    if (const std::string thought = reasoning_of(delta); !thought.empty()) {
      Block& block = open(Kind::kThinking);
      if (!shape_.omit_thinking) block.text += thought;
    }
    for (Thought& thought : thoughts_of(delta)) add_thought(std::move(thought));
    if (!delta.text.empty()) open(Kind::kText).text += delta.text;
    if (const std::string refusal = refusal_of(delta); !refusal.empty()) {
      open(Kind::kText).text += refusal;
      refused_ = true;
    }
  }
  void add(llm::ChoiceEnd end) override {
    reason_ = end.reason;
    own_stop_.take(end);
    for (FunctionCall& call : function_calls(end.tool_calls))
      blocks_.push_back({.kind = Kind::kToolUse, .text = "", .call = std::move(call)});
  }
  std::string finish(llm::Done& done) override;

 private:
  Block& open(Kind kind) {
    const bool goes_on = !blocks_.empty() && blocks_.back().kind == kind && blocks_.back().signature.empty();
    if (!goes_on) blocks_.push_back({.kind = kind, .text = ""});
    return blocks_.back();
  }
  /// Signed, a block is ended: the next thought begins another.
  void add_thought(Thought thought) {
    if (thought.redacted) {
      blocks_.push_back({.kind = Kind::kRedacted, .text = std::move(thought.whole)});
      return;
    }
    Block& block = open(Kind::kThinking);
    if (block.text.empty() && !shape_.omit_thinking) block.text = std::move(thought.text);
    block.signature = std::move(thought.signature);
  }
  static void append_block(std::string& out, const Block& block);

  const MessageShape shape_;
  llm::Started started_;
  std::vector<Block> blocks_;
  llm::FinishReason reason_ = llm::FinishReason::kStop;
  OwnStop own_stop_;
  bool refused_ = false;
};

void WholeWriter::append_block(std::string& out, const Block& block) {
  if (block.kind == Kind::kRedacted) {
    out += block.text;
    return;
  }
  ObjectWriter w(out);
  switch (block.kind) {
    case Kind::kThinking:
      w.string("type", "thinking");
      w.string("thinking", block.text);
      w.string("signature", block.signature);
      break;
    case Kind::kRedacted:
      break;
    case Kind::kText:
      w.string("type", "text");
      w.string("text", block.text);
      break;
    case Kind::kToolUse:
      w.string("type", "tool_use");
      w.string("id", block.call.id);
      w.string("name", block.call.name);
      append_input(w.member("input"), block.call.arguments);
      break;
  }
  w.end();
}

std::string WholeWriter::finish(llm::Done& done) {
  if (!done.report.cache) done.report.cache = started_.cache;
  const bool says =
      !blocks_.empty() && blocks_.back().kind != Kind::kThinking && blocks_.back().kind != Kind::kRedacted;
  if (!says) open(Kind::kText);
  std::string out;
  ObjectWriter w(out);
  open_message(w, shape_, started_.model);
  w.member("content") += '[';
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    if (i > 0) out += ',';
    append_block(out, blocks_[i]);
  }
  out += ']';
  own_stop_.append_to(w, stop_reason(reason_, blocks_.back().kind == Kind::kToolUse, refused_));
  append_message_usage(w.member("usage"), done.usage, done.report);
  append_report(w.member("permutation"), done.report);
  append_members(w, base::members_without(joined(started_.more, done.extra), kOwn));
  w.end();
  return out;
}

class EventsWriter final : public StreamWriter {
 public:
  explicit EventsWriter(MessageShape shape) : shape_(std::move(shape)) {}

  void start(const llm::Started& started) override { started_ = started; }
  std::string chunk(const llm::Delta& delta) override;
  std::string chunk(llm::ChoiceEnd end) override;
  std::string finish(llm::Done& done) override;
  std::string failure(const base::Error& error) override;

 private:
  void begin(std::string& out);
  void open_block(std::string& out, Kind kind, const FunctionCall& call);
  void continue_block(std::string& out, Kind kind);
  void close_block(std::string& out);
  void delta_event(std::string& out, std::string_view type, std::string_view name, std::string_view text);
  void add_piece(std::string& out, const llm::CallPiece& written);
  void add_thought(std::string& out, const Thought& thought);

  const MessageShape shape_;
  llm::Started started_;
  llm::FinishReason reason_ = llm::FinishReason::kStop;
  OwnStop own_stop_;
  std::optional<Kind> open_;  // the block that goes on
  std::int64_t blocks_ = 0, calls_ = 0;
  bool begun_ = false, refused_ = false;
};

/// What a prompt has is known at its end only; message_delta says it.
void EventsWriter::begin(std::string& out) {
  if (std::exchange(begun_, true)) return;
  append_event(out, "message_start", [this](ObjectWriter& w) {
    ObjectWriter message(w.member("message"));
    open_message(message, shape_, started_.model);
    message.member("content") += "[]";
    message.null("stop_reason");
    message.null("stop_sequence");
    message.member("usage") += R"({"input_tokens":0,"output_tokens":0})";
    message.end();
  });
}

void EventsWriter::open_block(std::string& out, Kind kind, const FunctionCall& call) {
  close_block(out);
  open_ = kind;
  append_event(out, "content_block_start", [&](ObjectWriter& w) {
    w.integer("index", blocks_);
    ObjectWriter block(w.member("content_block"));
    if (kind == Kind::kToolUse) {
      block.string("type", "tool_use");
      block.string("id", call.id);
      block.string("name", call.name);
      block.member("input") += "{}";
    } else {
      block.string("type", kind == Kind::kText ? "text" : "thinking");
      block.string(kind == Kind::kText ? "text" : "thinking", "");
      if (kind == Kind::kThinking) block.string("signature", "");
    }
    block.end();
  });
}

void EventsWriter::continue_block(std::string& out, Kind kind) {
  if (open_ != kind) open_block(out, kind, {});
}

void EventsWriter::close_block(std::string& out) {
  if (!open_) return;
  append_event(out, "content_block_stop", [this](ObjectWriter& w) { w.integer("index", blocks_); });
  open_.reset();
  ++blocks_;
}

void EventsWriter::delta_event(std::string& out, std::string_view type, std::string_view name,
                               std::string_view text) {
  append_event(out, "content_block_delta", [&](ObjectWriter& w) {
    w.integer("index", blocks_);
    ObjectWriter delta(w.member("delta"));
    delta.string("type", type);
    delta.string(name, text);
    delta.end();
  });
}

/// Blocks follow one another, so a call's pieces after its successor has begun can't be said.
void EventsWriter::add_piece(std::string& out, const llm::CallPiece& written) {
  const FunctionCall piece = call_piece(written);
  if (written.index == calls_) {
    open_block(out, Kind::kToolUse, piece);
    ++calls_;
  }
  if (written.index + 1 == calls_ && open_ == Kind::kToolUse && !piece.arguments.empty())
    delta_event(out, "input_json_delta", "partial_json", piece.arguments);
}

/// Signed or redacted, a block is ended.
void EventsWriter::add_thought(std::string& out, const Thought& thought) {
  if (thought.redacted) {
    close_block(out);
    append_event(out, "content_block_start", [&](ObjectWriter& w) {
      w.integer("index", blocks_);
      w.member("content_block") += thought.whole;
    });
    open_ = Kind::kRedacted;
    return close_block(out);
  }
  const bool known = open_ == Kind::kThinking;
  continue_block(out, Kind::kThinking);
  if (!known && !shape_.omit_thinking && !thought.text.empty())
    delta_event(out, "thinking_delta", "thinking", thought.text);
  delta_event(out, "signature_delta", "signature", thought.signature);
  close_block(out);
}

std::string EventsWriter::chunk(const llm::Delta& delta) {
  std::string out;
  const std::string thought = reasoning_of(delta), refusal = refusal_of(delta);
  const std::string said = delta.text + refusal;
  const std::vector<Thought> thoughts = thoughts_of(delta);
  if (said.empty() && thought.empty() && thoughts.empty() && delta.calls.empty()) return out;
  begin(out);
  refused_ = refused_ || !refusal.empty();
  if (!thought.empty()) {
    continue_block(out, Kind::kThinking);
    if (!shape_.omit_thinking) delta_event(out, "thinking_delta", "thinking", thought);
  }
  for (const Thought& ended : thoughts) add_thought(out, ended);
  if (!said.empty()) {
    continue_block(out, Kind::kText);
    delta_event(out, "text_delta", "text", said);
  }
  for (const llm::CallPiece& piece : delta.calls) add_piece(out, piece);
  return out;
}

std::string EventsWriter::chunk(llm::ChoiceEnd end) {
  std::string out;
  begin(out);
  reason_ = end.reason;
  own_stop_.take(end);
  const std::vector<FunctionCall> calls = function_calls(end.tool_calls);
  for (auto i = static_cast<std::size_t>(calls_); i < calls.size(); ++i) {
    open_block(out, Kind::kToolUse, calls[i]);
    std::string input;
    append_input(input, calls[i].arguments);
    delta_event(out, "input_json_delta", "partial_json", input);
    ++calls_;
  }
  if (blocks_ == 0 && !open_) continue_block(out, Kind::kText);
  close_block(out);
  return out;
}

std::string EventsWriter::finish(llm::Done& done) {
  std::string out;
  begin(out);
  if (!done.report.cache) done.report.cache = started_.cache;
  append_event(out, "message_delta", [&](ObjectWriter& w) {
    ObjectWriter delta(w.member("delta"));
    own_stop_.append_to(delta, stop_reason(reason_, calls_ > 0, refused_));
    delta.end();
    append_message_usage(w.member("usage"), done.usage, done.report);
    append_report(w.member("permutation"), done.report);
    append_members(w, base::members_without(done.extra, kOwn));
  });
  append_event(out, "message_stop", [](ObjectWriter&) {});
  return out;
}

std::string EventsWriter::failure(const base::Error& error) {
  return "event: error\ndata: " +
         message_error_body(kind_of(error).status, with_place(error.message, error.field),
                            shape_.request_id) +
         "\n\n";
}

}  // namespace

std::unique_ptr<AnswerWriter> make_message_writer(MessageShape shape) {
  return std::make_unique<WholeWriter>(std::move(shape));
}

std::unique_ptr<StreamWriter> make_message_stream_writer(MessageShape shape) {
  return std::make_unique<EventsWriter>(std::move(shape));
}

}  // namespace pmt::api
