#include "telemetry/span.h"

namespace pmt::telemetry {
namespace {

using nlohmann::json;

json value_of(const json& value) {
  if (value.is_boolean()) return {{"boolValue", value}};
  if (value.is_number_integer()) return {{"intValue", value.dump()}};
  if (value.is_number()) return {{"doubleValue", value}};
  if (value.is_string()) return {{"stringValue", value}};
  if (value.is_array()) {
    json values = json::array();
    for (const json& one : value) values.push_back(value_of(one));
    return {{"arrayValue", {{"values", std::move(values)}}}};
  }
  return {{"stringValue", value.dump()}};
}

json attribute(const std::string& key, const json& value) {
  return {{"key", key}, {"value", value_of(value)}};
}

json span_json(const Span& span) {
  json out{{"traceId", span.trace_id},
           {"spanId", span.span_id},
           {"name", span.name},
           {"kind", static_cast<int>(span.kind)},
           {"startTimeUnixNano", std::to_string(span.begin_unix_ns)},
           {"endTimeUnixNano", std::to_string(span.end_unix_ns)},
           {"attributes", json::array()}};
  if (!span.parent_id.empty()) out["parentSpanId"] = span.parent_id;
  for (const auto& [key, value] : span.attributes) out["attributes"].push_back(attribute(key, value));
  if (span.failed) out["status"] = {{"code", 2}, {"message", span.error}};
  return out;
}

}  // namespace

std::string otlp_json(const std::vector<Span>& spans, const std::string& service_name,
                      const std::string& version) {
  json all = json::array();
  for (const Span& span : spans) all.push_back(span_json(span));
  const json resource{
      {"attributes", {attribute("service.name", service_name), attribute("service.version", version)}}};
  const json scope{{"scope", {{"name", "permutation"}, {"version", version}}}, {"spans", std::move(all)}};
  const json body{{"resourceSpans", {{{"resource", resource}, {"scopeSpans", {scope}}}}}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace pmt::telemetry
