#include "api/routes/documents.h"

#include <utility>

#include <fmt/format.h>

#include "api/json/fields.h"
#include "base/base64.h"

namespace pmt::api {
namespace {

using nlohmann::json;

struct Body {
  std::string name, media_type, content, content_base64;
};

constexpr Rule<Body> kRules[] = {
    {"name", [](Json value, Body& body) { return text(value, kTextMax, body.name); }},
    {"media_type", [](Json value, Body& body) { return text(value, kTextMax, body.media_type); }},
    {"content", [](Json value, Body& body) { return text(value, kTextMax, body.content); }},
    {"content_base64", [](Json value, Body& body) { return text(value, kTextMax, body.content_base64); }},
};

base::Result<std::string> content_of(Body& body) {
  if (body.content.empty() == body.content_base64.empty())
    return base::invalid("a document has either 'content', a text, or 'content_base64'", "content");
  if (body.content_base64.empty()) return std::move(body.content);
  auto bytes = base::from_base64(body.content_base64);
  if (!bytes) return base::invalid("'content_base64' is no base64", "content_base64");
  return std::move(*bytes);
}

json summary_of(const knowledge_cache::Documents& documents, const knowledge_cache::Document& document) {
  return {{"name", document.name},
          {"media_type", document.media_type},
          {"bytes", document.text.size()},
          {"passages", documents.passages_of(document)},
          {"source", document.source},
          {"revision", document.revision},
          {"learnt_unix_s", document.learnt_unix_s}};
}

}  // namespace

base::Result<knowledge_cache::Document> read_document(const std::string& body) {
  TRY_ASSIGN(const Json root, parse_json(body));
  if (!root.is_object())
    return base::invalid("The request's body must be a document: {\"name\": ..., \"content\": ...}.");
  Body read;
  if (const base::Status done = read_object<Body>(root, kRules, UnknownKeys::kRefused, read); !done)
    return name_field(done.error());
  TRY_ASSIGN(std::string content, content_of(read));
  return knowledge_cache::document_of(std::move(read.name), read.media_type, std::move(content));
}

json document_report_json(const knowledge_cache::DocumentReport& report) {
  return {{"domain", report.domain},     {"version", report.version},
          {"document", report.document}, {"revision", report.revision},
          {"bytes", report.bytes},       {"passages", report.passages},
          {"seconds", report.seconds},   {"known_before", report.known_before}};
}

json documents_json(const knowledge_cache::Domain& domain) {
  json list = json::array();
  if (const auto& documents = domain.documents()) {
    for (const auto& document : documents->list()) list.push_back(summary_of(*documents, *document));
  }
  return {
      {"domain", domain.origin().name}, {"version", domain.origin().version}, {"documents", std::move(list)}};
}

base::Result<json> document_json(const knowledge_cache::Domain& domain, const std::string& name) {
  const knowledge_cache::Documents* const documents = domain.documents().get();
  const knowledge_cache::Document* const document =
      documents == nullptr ? nullptr : documents->find_document(name);
  if (document == nullptr) {
    return base::Error{
        base::Code::kNotFound,
        fmt::format("domain {} has no document \"{}\"", domain.origin().name, name.substr(0, 200)), "name"};
  }
  json out = summary_of(*documents, *document);
  out["domain"] = domain.origin().name;
  out["text"] = document->text;
  out["places"] = json::array();
  for (const auto& passage : documents->passages()) {
    if (documents->list()[passage.document].get() == document)
      out["places"].push_back({{"begin", passage.begin}, {"end", passage.end}});
  }
  return out;
}

std::vector<std::string> passages_of(const knowledge_cache::Documents& documents, const std::string& name) {
  std::vector<std::string> out;
  for (const auto& passage : documents.passages()) {
    if (documents.list()[passage.document]->name == name) out.emplace_back(documents.text_of(passage));
  }
  return out;
}

}  // namespace pmt::api
