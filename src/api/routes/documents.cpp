#include "api/routes/documents.h"

#include <utility>

#include <fmt/format.h>

#include "api/json/json_reader.h"
#include "base/base64.h"
#include "base/json.h"

namespace pmt::api {
namespace {

using nlohmann::json;

/// An optional text.
base::Result<std::string> text_at(const json& object, const char* field) {
  const json& value = base::at(object, field);
  if (value.is_null()) return std::string();
  auto text = base::as_text(value);
  if (!text) return base::invalid(fmt::format("'{}' must be a string", field), field);
  return std::move(*text);
}

base::Result<std::string> content_of(const json& object) {
  TRY_ASSIGN(std::string content, text_at(object, "content"));
  TRY_ASSIGN(const std::string encoded, text_at(object, "content_base64"));
  const bool both = !content.empty() && !encoded.empty();
  if (both || (content.empty() && encoded.empty()))
    return base::invalid("a document has either 'content', a text, or 'content_base64'", "content");
  if (encoded.empty()) return content;
  auto bytes = base::from_base64(encoded);
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
  if (const auto read = parse_json(body); !read) return read.error();  // it says where
  const auto object = base::parse_json(body);
  if (!object || !object->is_object())
    return base::invalid("The request's body must be a document: {\"name\": ..., \"content\": ...}.");
  for (const auto& [field, value] : object->items()) {
    if (field != "name" && field != "content" && field != "content_base64" && field != "media_type")
      return base::invalid(fmt::format("'{}' is no member of a document", field.substr(0, 64)), field);
  }
  TRY_ASSIGN(std::string name, text_at(*object, "name"));
  TRY_ASSIGN(const std::string media_type, text_at(*object, "media_type"));
  TRY_ASSIGN(std::string content, content_of(*object));
  return knowledge_cache::document_of(std::move(name), media_type, std::move(content));
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
