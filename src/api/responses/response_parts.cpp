#include "api/responses/response_parts.h"

#include <fmt/format.h>

#include "api/json/fields.h"
#include "api/json/json_writer.h"

namespace pmt::api {
namespace {

enum class PartKind { kText, kRefusal, kImage, kFile };

struct Part {
  PartKind kind = PartKind::kText;
  std::string text, refusal, image_url, detail, file_data, filename;
  bool has_text = false, has_refusal = false;
};

base::Status passed_over(Json, Part&) {
  return {};
}
base::Status elsewhere(Json, Part&) {
  return base::invalid("names a file of another server: send its content");
}
base::Status read_detail(Json value, Part& part) {
  return text(value, 32, part.detail);
}

constexpr Rule<Part> kText[] = {
    {"type", passed_over},
    {"text",
     [](Json v, Part& p) {
       p.has_text = true;
       return text(v, kTextMax, p.text);
     }},
    {"annotations", passed_over},
    {"logprobs", passed_over},
    {"parsed", passed_over},  // the official client's own, sent back with its items
    {"prompt_cache_breakpoint", passed_over},
};
constexpr Rule<Part> kRefusal[] = {
    {"type", passed_over},
    {"refusal",
     [](Json v, Part& p) {
       p.has_refusal = true;
       return text(v, kTextMax, p.refusal);
     }},
};
constexpr Rule<Part> kImage[] = {
    {"type", passed_over},
    {"image_url", [](Json v, Part& p) { return text(v, kTextMax, p.image_url); }},
    {"detail", read_detail},
    {"file_id", elsewhere},
    {"prompt_cache_breakpoint", passed_over},
};
constexpr Rule<Part> kFile[] = {
    {"type", passed_over},
    {"file_data", [](Json v, Part& p) { return text(v, kTextMax, p.file_data); }},
    {"filename", [](Json v, Part& p) { return text(v, 1'024, p.filename); }},
    {"detail", read_detail},
    {"file_id", elsewhere},
    {"file_url", elsewhere},
    {"prompt_cache_breakpoint", passed_over},
};

std::span<const Rule<Part>> rules_of(PartKind kind) {
  switch (kind) {
    case PartKind::kText:
      return kText;
    case PartKind::kRefusal:
      return kRefusal;
    case PartKind::kImage:
      return kImage;
    case PartKind::kFile:
      return kFile;
  }
  return kText;
}

base::Status required(bool given, const char* name) {
  return given ? base::Status() : base::Status(below(name, base::invalid("is required")));
}

base::Status check(const Part& part) {
  switch (part.kind) {
    case PartKind::kText:
      return required(part.has_text, "text");
    case PartKind::kRefusal:
      return required(part.has_refusal, "refusal");
    case PartKind::kImage:
      return required(!part.image_url.empty(), "image_url");
    case PartKind::kFile:
      return required(!part.file_data.empty(), "file_data");
  }
  return {};
}

/// As POST /v1/chat/completions has it; "" for text.
std::string chat_form(const Part& part) {
  std::string out;
  if (part.kind == PartKind::kText) return out;
  ObjectWriter w(out);
  if (part.kind == PartKind::kRefusal) {
    w.string("type", "refusal");
    w.string("refusal", part.refusal);
  } else if (part.kind == PartKind::kImage) {
    w.string("type", "image_url");
    ObjectWriter image(w.member("image_url"));
    image.string("url", part.image_url);
    if (!part.detail.empty()) image.string("detail", part.detail);
    image.end();
  } else {
    w.string("type", "file");
    ObjectWriter file(w.member("file"));
    if (!part.filename.empty()) file.string("filename", part.filename);
    file.string("file_data", part.file_data);
    file.end();
  }
  w.end();
  return out;
}

std::string kept_text_part(std::string_view type, std::string_view text) {
  std::string out;
  ObjectWriter w(out);
  w.string("type", type);
  w.string("text", text);
  if (type == "output_text") w.member("annotations") += "[]";
  w.end();
  return out;
}

base::Status read_part(Json value, const std::string& own, ResponseParts& out) {
  if (!value.is_object()) return mismatch("an object", value);
  Json type;
  Part part;
  if (value["type"].get(type) != simdjson::SUCCESS) return below("type", base::invalid("is required"));
  const base::Status known = one_of<PartKind>(type,
                                              {{"input_text", PartKind::kText},
                                               {"output_text", PartKind::kText},
                                               {"text", PartKind::kText},
                                               {"summary_text", PartKind::kText},
                                               {"reasoning_text", PartKind::kText},
                                               {"refusal", PartKind::kRefusal},
                                               {"input_image", PartKind::kImage},
                                               {"input_file", PartKind::kFile}},
                                              part.kind);
  if (!known) return below("type", known.error());
  TRY(read_object<Part>(value, rules_of(part.kind), UnknownKeys::kRefused, part));
  TRY(check(part));
  const std::string inside = part.kind == PartKind::kText ? own + ".text" : own;
  out.parts.push_back({.text = part.text, .json = chat_form(part), .own = inside});
  out.kept.push_back(simdjson::minify(value));
  return {};
}

}  // namespace

std::string ResponseParts::kept_array() const {
  std::string out = "[";
  for (const std::string& part : kept) out += (out.size() == 1 ? "" : ",") + part;
  return out + ']';
}

std::string ResponseParts::kept_text() const {
  std::string out;
  append_string(out, parts.empty() ? std::string_view() : parts.front().text);
  return out;
}

base::Status read_response_parts(Json value, const std::string& own, std::string_view type,
                                 ResponseParts& out) {
  out = {};
  if (value.is_string()) {
    ChatPart part{.own = own};
    TRY(text(value, kTextMax, part.text));
    out.as_text = true;
    out.kept.push_back(kept_text_part(type, part.text));
    out.parts.push_back(std::move(part));
    return {};
  }
  if (!value.is_array()) return mismatch("a string or an array of parts", value);
  return read_array(value, kTextMax, [&](Json item) {
    return read_part(item, fmt::format("{}[{}]", own, out.parts.size()), out);
  });
}

}  // namespace pmt::api
