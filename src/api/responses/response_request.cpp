#include "api/responses/response_request.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "api/json/fields.h"
#include "api/json/json_writer.h"
#include "api/responses/response_items.h"
#include "api/responses/response_tools.h"
#include "base/json_text.h"

namespace pmt::api {
namespace {

constexpr std::int64_t kInt32Max = std::numeric_limits<std::int32_t>::max();

struct Draft {
  ResponseRequest request;
  ResponseTools tools;
  bool has_input = false, logprobs = false;
  base::Error unknown = {};
};

/// Chat has them under the same name and checks them.
constexpr std::string_view kPassed[] = {
    "model",
    "temperature",
    "top_p",
    "parallel_tool_calls",
    "user",
    "seed",
    "service_tier",
    "stop",
    "top_k",
    "min_p",
    "logit_bias",
    "frequency_penalty",
    "presence_penalty",
    "chat_template_kwargs",
    "permutation",
};
/// Nobody here does what they ask for.
constexpr std::string_view kRefused[] = {
    "conversation",    "prompt", "context_management", "moderation",
    "access_programs", "image",  "background_options",
};

bool among(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

void note_sent(Draft& d, std::string_view name, Json value) {
  d.request.sent.insert_or_assign(std::string(name), simdjson::minify(value));
}

/// What it names, if it only names another item. What is wrong with it is told where items are read.
std::string reference_of(Json item) {
  const auto type = response_item_type(item);
  std::string_view id;
  if (!type || *type != "item_reference" || item["id"].get(id) != simdjson::SUCCESS) return "";
  return std::string(id);
}

base::Status read_input(Json value, Draft& d) {
  d.has_input = true;
  std::vector<ResponseInputItem>& items = d.request.items;
  items.clear();
  d.request.input_was_text = value.is_string();
  if (value.is_string()) {
    std::string said;
    TRY(text(value, kTextMax, said));
    if (said.empty()) return base::invalid("must not be empty");
    items.push_back({.json = text_item(said)});
    return {};
  }
  if (!value.is_array()) return mismatch("a string or an array of items", value);
  return read_array(value, kTextMax, [&items](Json item) -> base::Status {
    if (!item.is_object()) return mismatch("an object", item);
    items.push_back({.json = simdjson::minify(item), .reference = reference_of(item)});
    return {};
  });
}

base::Status read_max_tokens(Json value, Draft& d) {
  std::int64_t tokens = 0;
  TRY(integer(value, 1, kInt32Max, tokens));
  note_sent(d, "max_output_tokens", value);
  d.request.body.add("max_completion_tokens", std::to_string(tokens), "max_output_tokens");
  return {};
}

base::Status read_top_logprobs(Json value, Draft& d) {
  std::int64_t top = 0;
  TRY(integer(value, 0, 20, top));
  note_sent(d, "top_logprobs", value);
  d.request.body.add("top_logprobs", std::to_string(top), "top_logprobs");
  d.logprobs = true;
  return {};
}

base::Status read_include(Json value, Draft& d) {
  return read_array(value, 32, [&d](Json item) -> base::Status {
    bool logprobs = false;
    TRY(one_of<bool>(item,
                     {{"message.output_text.logprobs", true},
                      {"reasoning.encrypted_content", false},
                      {"message.input_image.image_url", false},
                      {"file_search_call.results", false},
                      {"web_search_call.results", false},
                      {"web_search_call.action.sources", false},
                      {"computer_call_output.output.image_url", false},
                      {"code_interpreter_call.outputs", false}},
                     logprobs));
    d.logprobs = d.logprobs || logprobs;
    return {};
  });
}

base::Status read_effort(Json value, Draft& d) {
  std::string effort;
  TRY(text(value, 32, effort));
  d.request.body.add("reasoning_effort", simdjson::minify(value), "reasoning.effort");
  return {};
}

base::Status read_summary(Json value, Draft&) {
  std::string_view word;
  return one_of<std::string_view>(value, {{"auto", ""}, {"concise", ""}, {"detailed", ""}}, word);
}

constexpr Rule<Draft> kReasoning[] = {
    {"effort", read_effort},
    {"summary", read_summary},
    {"generate_summary", read_summary},
};

base::Status read_stream(Json value, Draft& d) {
  TRY(flag(value, d.request.stream));
  d.request.body.add("stream", d.request.stream ? "true" : "false", "stream");
  return {};
}

base::Status read_stream_options(Json value, Draft& d) {
  static constexpr Rule<Draft> kRules[] = {
      {"include_obfuscation",
       [](Json v, Draft&) {
         bool unused = false;
         return flag(v, unused);
       }},
  };
  return read_object<Draft>(value, kRules, UnknownKeys::kRefused, d);
}

base::Status read_metadata(Json value, Draft& d) {
  constexpr std::size_t kPairsMax = 16, kNameMax = 64, kValueMax = 512;
  simdjson::dom::object pairs;
  if (value.get(pairs) != simdjson::SUCCESS) return mismatch("an object of texts", value);
  if (pairs.size() > kPairsMax) return base::invalid("must have at most 16 members");
  for (const auto pair : pairs) {
    std::string unused;
    if (pair.key.size() > kNameMax) return base::invalid("must have names of at most 64 bytes");
    if (const base::Status s = text(pair.value, kValueMax, unused); !s) return below(pair.key, s.error());
  }
  note_sent(d, "metadata", value);
  d.request.body.add("metadata", simdjson::minify(value), "metadata");
  return {};
}

/// A text that changes no answer here: an upstream gets it, the answer repeats it.
template <const char* kName>
base::Status read_label(Json value, Draft& d) {
  std::string unused;
  TRY(text(value, 512, unused));
  note_sent(d, kName, value);
  d.request.body.add(kName, simdjson::minify(value), kName);
  return {};
}

constexpr char kSafety[] = "safety_identifier";
constexpr char kCacheKey[] = "prompt_cache_key";
constexpr char kCacheRetention[] = "prompt_cache_retention";

constexpr Rule<Draft> kRules[] = {
    {"input", read_input},
    {"instructions",
     [](Json v, Draft& d) {
       note_sent(d, "instructions", v);
       return text(v, kTextMax, d.request.instructions.emplace());
     }},
    {"max_output_tokens", read_max_tokens},
    {"top_logprobs", read_top_logprobs},
    {"include", read_include},
    {"tools",
     [](Json v, Draft& d) {
       note_sent(d, "tools", v);
       return read_response_tools(v, d.tools);
     }},
    {"tool_choice",
     [](Json v, Draft& d) {
       note_sent(d, "tool_choice", v);
       return read_response_tool_choice(v, d.tools);
     }},
    {"text",
     [](Json v, Draft& d) {
       note_sent(d, "text", v);
       return read_response_text(v, d.request.body);
     }},
    {"reasoning",
     [](Json v, Draft& d) {
       note_sent(d, "reasoning", v);
       return read_object<Draft>(v, kReasoning, UnknownKeys::kRefused, d);
     }},
    {"truncation",
     [](Json v, Draft&) -> base::Status {
       std::string_view word;
       if (v.get(word) == simdjson::SUCCESS && word == "disabled") return {};
       return mismatch("\"disabled\": what doesn't fit is refused here, not left out", v);
     }},
    {"previous_response_id", [](Json v, Draft& d) { return text(v, 256, d.request.previous_response_id); }},
    {"store", [](Json v, Draft& d) { return flag(v, d.request.store); }},
    {"background", [](Json v, Draft& d) { return flag(v, d.request.background); }},
    {"stream", read_stream},
    {"stream_options", read_stream_options},
    {"metadata", read_metadata},
    {"max_tool_calls",  // of a provider's own tools, which there are none of
     [](Json v, Draft& d) -> base::Status {
       std::int64_t calls = 0;
       TRY(integer(v, 1, kInt32Max, calls));
       note_sent(d, "max_tool_calls", v);
       return {};
     }},
    {kSafety, read_label<kSafety>},
    {kCacheKey, read_label<kCacheKey>},
    {kCacheRetention, read_label<kCacheRetention>},
    {"prompt_cache_options",
     [](Json v, Draft&) -> base::Status {
       return v.is_object() ? base::Status() : base::Status(mismatch("an object", v));
     }},
};

void take_other(std::string_view name, Json value, Draft& d) {
  if (among(kPassed, name)) {
    if (value.is_null()) return;
    note_sent(d, name, value);
    d.request.body.add(name, simdjson::minify(value), std::string(name));
    return;
  }
  if (!d.unknown.message.empty()) return;
  if (among(kRefused, name)) {
    if (!value.is_null()) d.unknown = base::invalid("is not supported here: leave it out", std::string(name));
    return;
  }
  std::vector<std::string_view> known;
  for (const Rule<Draft>& rule : kRules) known.push_back(rule.name);
  known.insert(known.end(), std::begin(kPassed), std::end(kPassed));
  d.unknown = base::invalid("is no parameter of this API" + suggestion(name, known),
                            name.empty() ? "\"\"" : std::string(name));
}

base::Status read_root(Json root, Draft& d) {
  if (!root.is_object()) return base::invalid("The request's body must be a JSON object.");
  TRY(read_object<Draft>(root, kRules, UnknownKeys::kIgnored, d, take_other));
  if (!d.unknown.message.empty()) return d.unknown;
  if (!d.has_input) return below("input", base::invalid("is required: a text, or items"));
  if (d.request.background && !d.request.store) {
    return below("background", base::invalid("needs 'store': its answer is fetched later"));
  }
  return {};
}

/// All items as one JSON text: only one text at a time can be read.
std::string joined(const ResponseRequest& request, const ResponseConversation& conversation) {
  std::string all = "[";
  const auto add = [&all](const std::string& item) { all += (all.size() > 1 ? "," : "") + item; };
  for (const std::string& item : conversation.history) add(item);
  for (const ResponseInputItem& item : request.items) add(item.json);
  return all + ']';
}

/// Adds their messages. Gives the request's own items as they are kept, if they are.
base::Result<std::vector<std::string>> read_items(const ResponseRequest& request,
                                                  const ResponseConversation& conversation,
                                                  std::vector<ChatMessage>& messages) {
  const std::string all = joined(request, conversation);
  TRY_ASSIGN(const Json root, parse_json(all));
  const simdjson::dom::array items = root.get_array().value_unsafe();
  ResponseItemsReader reader(messages, {.id_stem = conversation.id_stem});
  std::vector<std::string> kept;
  const std::size_t earlier = conversation.history.size();
  std::size_t at = 0;
  for (const Json item : items) {
    std::string own = "previous_response_id";
    if (at >= earlier) own = request.input_was_text ? "input" : fmt::format("input[{}]", at - earlier);
    const bool keeps = at >= earlier && request.store;
    const base::Status read = reader.read(item, own, keeps ? &kept.emplace_back() : nullptr);
    if (!read) return name_field(below(own, read.error()));
    ++at;
  }
  return kept;
}

/// An item that was kept here, for another server: it knows none of our ids, but the one that reasoning was encrypted
/// under.
std::string for_others(const std::string& item) {
  const auto members = base::members_of(item);
  if (base::value_of(members, "type") == "\"reasoning\"") return item;
  std::string out;
  for (const base::JsonMember& member : members) {
    if (member.name == "id" || member.name == "status") continue;
    out.append(out.empty() ? "{" : ",").append(member.whole);
  }
  return out + '}';
}

/// As it was written, unless a part of the conversation is known here only.
std::string own_text(const std::string& body, const ResponseRequest& request,
                     const ResponseConversation& conversation) {
  const auto is_joined = [](const ResponseInputItem& item) { return item.joined; };
  if (conversation.history.empty() && std::ranges::none_of(request.items, is_joined)) return body;
  std::string out = "{\"input\":[";
  const auto add = [&out](const std::string& item) { out += (out.back() == '[' ? "" : ",") + item; };
  for (const std::string& item : conversation.history) add(for_others(item));
  for (const ResponseInputItem& item : request.items) add(item.joined ? for_others(item.json) : item.json);
  out += ']';
  for (const base::JsonMember& member : base::members_of(body)) {
    if (member.name == "input" || member.name == "previous_response_id") continue;
    out.append(",").append(member.whole);
  }
  return out + '}';
}

}  // namespace

base::Result<ResponseRequest> read_response_request(const std::string& body) {
  TRY_ASSIGN(const Json root, parse_json(body));
  Draft draft;
  if (base::Status s = read_root(root, draft); !s) return name_field(s.error());
  TRY(draft.tools.add_to(draft.request.body));
  if (draft.logprobs) draft.request.body.add("logprobs", "true", "include");
  draft.request.body.name("messages", "input");
  draft.request.body.name("max_tokens", "max_output_tokens");
  return std::move(draft.request);
}

base::Result<ResponseCall> finish_response_request(ResponseRequest request,
                                                   const ResponseConversation& conversation,
                                                   const std::string& sent, EngineOptionsReaders engines) {
  ChatBody& body = request.body;
  if (request.instructions) {
    body.messages.push_back({.role = "system",
                             .own = "instructions",
                             .parts = {{.text = *request.instructions, .json = "", .own = "instructions"}}});
  }
  TRY_ASSIGN(std::vector<std::string> input, read_items(request, conversation, body.messages));
  std::string text = body.text();
  FieldNames names = body.take_names();
  base::Result<CompletionCall> call = read_completion(llm::Endpoint::kChat, text, engines);
  if (!call) return names.own_words(call.error());
  return ResponseCall{*std::move(call), std::move(text), std::move(names), std::move(input),
                      own_text(sent, request, conversation)};
}

}  // namespace pmt::api
