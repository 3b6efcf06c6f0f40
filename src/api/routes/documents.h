// Documents in the API's JSON: what a client sends to be learnt, and what it is told of them.
// Thread-safety: pure functions. Errors name the field.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "knowledge_cache/library.h"

namespace pmt::api {

/// {"name", "content" or "content_base64", "media_type"}.
base::Result<knowledge_cache::Document> read_document(const std::string& body);

nlohmann::json document_report_json(const knowledge_cache::DocumentReport& report);
/// Without their texts.
nlohmann::json documents_json(const knowledge_cache::Domain& domain);
/// With its text and its passages' places. Errors: kNotFound.
base::Result<nlohmann::json> document_json(const knowledge_cache::Domain& domain, const std::string& name);

/// Their texts, in order.
std::vector<std::string> passages_of(const knowledge_cache::Documents& documents, const std::string& name);

}  // namespace pmt::api
