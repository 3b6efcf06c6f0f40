#include "api/messages/message_blocks.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "api/json/fields.h"
#include "api/json/json_writer.h"

namespace pmt::api {
namespace {

enum class Kind { kText, kImage, kDocument, kToolUse, kToolResult, kThinking, kRedacted };

struct Source {
  std::string type, media_type, data, url;
};

/// What any block has.
struct Block {
  Kind kind = Kind::kText;
  std::string own;
  MessageBlocksOptions options;
  std::optional<std::string> text, thinking;
  std::string id, name, input;
  std::string title;
  std::optional<Source> source;
  std::string cache_control;
  std::string result;  // of a tool
  std::string own_result;
  bool is_error = false;
};

base::Status passed_over(Json, Block&) {
  return {};
}
base::Status elsewhere(Json, Source&) {
  return base::invalid("names a file of another server: send its content");
}

constexpr Rule<Source> kSource[] = {
    {"type",
     [](Json v, Source& s) {
       return one_of<std::string>(v, {{"base64", "base64"}, {"url", "url"}, {"text", "text"}}, s.type);
     }},
    {"media_type", [](Json v, Source& s) { return text(v, kNameBytesMax, s.media_type); }},
    {"data", [](Json v, Source& s) { return text(v, kTextMax, s.data); }},
    {"url", [](Json v, Source& s) { return text(v, kTextMax, s.url); }},
    {"file_id", elsewhere},
};

base::Status read_source(Json value, Block& b) {
  TRY(read_object<Source>(value, kSource, UnknownKeys::kRefused, b.source.emplace()));
  const Source& s = *b.source;
  if (s.type.empty()) return below("type", base::invalid("is required"));
  if (s.type == "url" && s.url.empty()) return below("url", base::invalid("is required"));
  if (s.type != "url" && s.data.empty()) return below("data", base::invalid("is required"));
  return {};
}

base::Status read_cache_control(Json value, Block& b) {
  if (!value.is_object()) return mismatch("an object", value);
  if (b.options.keep_cache_control) b.cache_control = simdjson::minify(value);
  return {};
}

base::Status read_result(Json value, Block& b);

constexpr Rule<Block> kText[] = {
    {"type", passed_over},
    {"text", [](Json v, Block& b) { return text(v, kTextMax, b.text.emplace()); }},
    {"cache_control", read_cache_control},
    {"citations", passed_over},
    {"parsed_output", passed_over},  // the official client's own, sent back with its messages
};
constexpr Rule<Block> kImage[] = {
    {"type", passed_over},
    {"source", read_source},
    {"cache_control", read_cache_control},
    {"transformations", passed_over},
};
constexpr Rule<Block> kDocument[] = {
    {"type", passed_over},
    {"source", read_source},
    {"title", [](Json v, Block& b) { return text(v, kTextMax, b.title); }},
    {"cache_control", read_cache_control},
    {"citations", passed_over},
};
constexpr Rule<Block> kToolUse[] = {
    {"type", passed_over},
    {"id", [](Json v, Block& b) { return text(v, kNameBytesMax, b.id); }},
    {"name", [](Json v, Block& b) { return text(v, kNameBytesMax, b.name); }},
    {"input",
     [](Json v, Block& b) -> base::Status {
       if (!v.is_object()) return mismatch("an object", v);
       b.input = simdjson::minify(v);
       return {};
     }},
    {"cache_control", read_cache_control},
    {"caller", passed_over},
    {"toolset_name", passed_over},
};
constexpr Rule<Block> kToolResult[] = {
    {"type", passed_over},
    {"tool_use_id", [](Json v, Block& b) { return text(v, kNameBytesMax, b.id); }},
    {"content", read_result},
    {"is_error", [](Json v, Block& b) { return flag(v, b.is_error); }},
    {"cache_control", read_cache_control},
    {"toolset_name", passed_over},
};
constexpr Rule<Block> kThoughtRules[] = {
    {"type", passed_over},
    {"thinking", [](Json v, Block& b) { return text(v, kTextMax, b.thinking.emplace()); }},
    {"signature", passed_over},
};
constexpr Rule<Block> kRedacted[] = {
    {"type", passed_over},
    {"data", passed_over},
};

std::span<const Rule<Block>> rules_of(Kind kind) {
  switch (kind) {
    case Kind::kText:
      return kText;
    case Kind::kImage:
      return kImage;
    case Kind::kDocument:
      return kDocument;
    case Kind::kToolUse:
      return kToolUse;
    case Kind::kToolResult:
      return kToolResult;
    case Kind::kThinking:
      return kThoughtRules;
    case Kind::kRedacted:
      return kRedacted;
  }
  return kText;
}

base::Status required(bool given, const char* name) {
  return given ? base::Status() : base::Status(below(name, base::invalid("is required")));
}

base::Status check(const Block& b) {
  switch (b.kind) {
    case Kind::kText:
      return required(b.text.has_value(), "text");
    case Kind::kImage:
    case Kind::kDocument:
      return required(b.source.has_value(), "source");
    case Kind::kToolUse:
      TRY(required(!b.id.empty(), "id"));
      TRY(required(!b.name.empty(), "name"));
      return required(!b.input.empty(), "input");
    case Kind::kToolResult:
      return required(!b.id.empty(), "tool_use_id");
    case Kind::kThinking:
      return required(b.thinking.has_value(), "thinking");
    case Kind::kRedacted:
      return {};
  }
  return {};
}

using Kinds = std::initializer_list<std::pair<std::string_view, Kind>>;
const Kinds kOfUser = {{"text", Kind::kText},
                       {"image", Kind::kImage},
                       {"document", Kind::kDocument},
                       {"tool_result", Kind::kToolResult}};
const Kinds kOfAssistant = {{"text", Kind::kText},
                            {"tool_use", Kind::kToolUse},
                            {"thinking", Kind::kThinking},
                            {"redacted_thinking", Kind::kRedacted}};
const Kinds kTextOnly = {{"text", Kind::kText}};

base::Status read_block(Json value, const Kinds& kinds, Block& b) {
  if (!value.is_object()) return mismatch("an object", value);
  Json type;
  if (value["type"].get(type) != simdjson::SUCCESS) return below("type", base::invalid("is required"));
  if (const base::Status known = one_of<Kind>(type, kinds, b.kind); !known)
    return below("type", known.error());
  TRY(read_object<Block>(value, rules_of(b.kind), UnknownKeys::kRefused, b));
  return check(b);
}

/// A tool's result is text in chat; several texts are its lines.
base::Status read_result(Json value, Block& b) {
  b.own_result = b.own + ".content";
  if (value.is_string()) return text(value, kTextMax, b.result);
  if (!value.is_array()) return mismatch("a string or an array of text blocks", value);
  bool first = true;
  return read_array(value, kTextMax, [&](Json item) -> base::Status {
    Block part;
    part.own = b.own;
    part.options = b.options;
    TRY(read_block(item, kTextOnly, part));
    b.result += (std::exchange(first, false) ? "" : "\n") + *part.text;
    return {};
  });
}

std::string text_part(const Block& b, std::string_view said) {
  std::string out;
  if (b.cache_control.empty()) return out;  // plain text is written as such
  ObjectWriter w(out);
  w.string("type", "text");
  w.string("text", said);
  w.member("cache_control") += b.cache_control;
  w.end();
  return out;
}

std::string data_url(const Source& source, std::string_view otherwise) {
  const std::string_view type = source.media_type.empty() ? otherwise : source.media_type;
  return source.type == "url" ? source.url : fmt::format("data:{};base64,{}", type, source.data);
}

base::Result<ChatPart> image_part(const Block& b) {
  if (b.source->type == "text")
    return below("source.type", base::invalid("must be base64 or url for an image"));
  std::string out = R"({"type":"image_url","image_url":{"url":)";
  append_string(out, data_url(*b.source, "image/png"));
  out += '}';
  if (!b.cache_control.empty()) out += ",\"cache_control\":" + b.cache_control;
  return ChatPart{.text = "", .json = out + '}', .own = b.own};
}

base::Result<ChatPart> document_part(const Block& b) {
  if (b.source->type == "text") {
    std::string said = b.title.empty() ? b.source->data : b.title + "\n\n" + b.source->data;
    std::string part = text_part(b, said);
    return ChatPart{.text = std::move(said), .json = std::move(part), .own = b.own + ".source.data"};
  }
  if (b.source->type == "url") {
    return below("source.type", base::invalid("must be base64 or text for a document: send its content"));
  }
  std::string out = R"({"type":"file","file":{)";
  if (!b.title.empty()) {
    out += "\"filename\":";
    append_string(out, b.title);
    out += ',';
  }
  out += "\"file_data\":";
  append_string(out, data_url(*b.source, "application/pdf"));
  return ChatPart{.text = "", .json = out + "}}", .own = b.own};
}

/// A message on its way: what was said so far of it.
struct Draft {
  ChatMessage message;
  std::vector<ChatMessage>& out;

  /// What is there becomes a message.
  void flush() {
    if (message.parts.empty() && message.calls.empty() && message.reasoning.empty()) return;
    out.push_back(message);
    message = {.role = message.role, .own = message.own};
  }
};

base::Status add_block(Block& b, Draft& d) {
  switch (b.kind) {
    case Kind::kText:
      d.message.parts.push_back({.text = *b.text, .json = text_part(b, *b.text), .own = b.own + ".text"});
      return {};
    case Kind::kImage: {
      TRY_ASSIGN(ChatPart part, image_part(b));
      d.message.parts.push_back(std::move(part));
      return {};
    }
    case Kind::kDocument: {
      TRY_ASSIGN(ChatPart part, document_part(b));
      d.message.parts.push_back(std::move(part));
      return {};
    }
    case Kind::kToolUse:
      d.message.calls.push_back({.id = b.id,
                                 .name = b.name,
                                 .arguments = b.input,
                                 .own = b.own,
                                 .own_arguments = b.own + ".input"});
      return {};
    case Kind::kToolResult: {
      d.flush();
      // Chat has no mark for a failure; the model must hear of it.
      std::string said = b.is_error ? "Error: " + b.result : std::move(b.result);
      const std::string own = b.own_result.empty() ? b.own : b.own_result;
      d.out.push_back({.role = "tool",
                       .own = b.own,
                       .parts = {{.text = std::move(said), .json = "", .own = own}},
                       .tool_call_id = b.id,
                       .own_tool_call_id = b.own + ".tool_use_id"});
      return {};
    }
    case Kind::kThinking:
      d.message.reasoning += (d.message.reasoning.empty() ? "" : "\n\n") + *b.thinking;
      return {};
    case Kind::kRedacted:  // encrypted by who made it
      return {};
  }
  return {};
}

base::Status read_content(Json value, const Kinds& kinds, MessageBlocksOptions options,
                          const std::string& own, Draft& d) {
  if (value.is_string()) {
    ChatPart part{.own = own};
    TRY(text(value, kTextMax, part.text));
    d.message.parts.push_back(std::move(part));
    d.flush();
    return {};
  }
  simdjson::dom::array blocks;
  if (value.get(blocks) != simdjson::SUCCESS) return mismatch("a string or an array of blocks", value);
  if (blocks.size() == 0) return base::invalid("must not be empty");
  std::size_t index = 0;
  const base::Status read = read_array(value, kTextMax, [&](Json item) -> base::Status {
    Block b;
    b.own = fmt::format("{}[{}]", own, index++);
    b.options = options;
    TRY(read_block(item, kinds, b));
    return add_block(b, d);
  });
  TRY(read);
  d.flush();
  return {};
}

struct Envelope {
  std::string role;
  std::optional<Json> content;
};

constexpr Rule<Envelope> kEnvelope[] = {
    {"role",
     [](Json v, Envelope& e) {
       return one_of<std::string>(v, {{"user", "user"}, {"assistant", "assistant"}, {"system", "system"}},
                                  e.role);
     }},
    {"content",
     [](Json v, Envelope& e) -> base::Status {
       e.content = v;
       return {};
     }},
};

}  // namespace

base::Status read_message_item(Json value, const std::string& own, MessageBlocksOptions options,
                               std::vector<ChatMessage>& out) {
  Envelope envelope;
  TRY(read_object<Envelope>(value, kEnvelope, UnknownKeys::kRefused, envelope));
  TRY(required(!envelope.role.empty(), "role"));
  TRY(required(envelope.content.has_value(), "content"));
  const Kinds& kinds = envelope.role == "user"        ? kOfUser
                       : envelope.role == "assistant" ? kOfAssistant
                                                      : kTextOnly;
  Draft draft{.message = {.role = envelope.role, .own = own}, .out = out};
  const base::Status read = read_content(*envelope.content, kinds, options, own + ".content", draft);
  if (!read) return below("content", read.error());
  return {};
}

base::Status read_message_system(Json value, MessageBlocksOptions options, std::vector<ChatMessage>& out) {
  Draft draft{.message = {.role = "system", .own = "system"}, .out = out};
  return read_content(value, kTextOnly, options, "system", draft);
}

}  // namespace pmt::api
