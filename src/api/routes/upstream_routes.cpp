#include "api/routes/upstream_routes.h"

#include <string>
#include <utility>
#include <vector>

#include "api/json/fields.h"
#include "api/json/json_writer.h"

namespace pmt::api {
namespace {

using nlohmann::json;

constexpr std::size_t kUrlBytesMax = 2048;

struct DrainCall {
  std::string upstream, server;
  bool draining = true;
};

constexpr Rule<DrainCall> kDrainRules[] = {
    {"upstream", [](Json v, DrainCall& c) { return text(v, kNameBytesMax, c.upstream); }},
    {"server", [](Json v, DrainCall& c) { return text(v, kUrlBytesMax, c.server); }},
    {"draining", [](Json v, DrainCall& c) { return flag(v, c.draining); }},
};

base::Result<DrainCall> parse_drain(const std::string& body) {
  TRY_ASSIGN(const Json root, parse_json(body));
  DrainCall call;
  if (const base::Status read = read_object<DrainCall>(root, kDrainRules, UnknownKeys::kRefused, call); !read)
    return name_field(read.error());
  if (call.upstream.empty())
    return name_field(base::invalid("is required: GET /v1/upstreams lists them", "upstream"));
  if (call.server.empty())
    return name_field(base::invalid("is required: GET /v1/upstreams lists their URLs", "server"));
  return call;
}

std::vector<UpstreamServer> servers_of(const ApiOptions& options) {
  return options.upstream_servers ? options.upstream_servers() : std::vector<UpstreamServer>{};
}

json server_json(const UpstreamServer& server) {
  return {{"url", server.url},           {"healthy", !server.down},
          {"draining", server.draining}, {"in_flight", server.in_flight},
          {"requests", server.requests}, {"failed", server.failed},
          {"probes", server.probes},     {"down_s", server.down_s}};
}

void show_upstreams(const ApiOptions& options, const Exchange& exchange) {
  json all = json::array();
  for (const UpstreamServer& server : servers_of(options)) {
    if (all.empty() || all.back()["name"] != server.upstream)
      all.push_back({{"name", server.upstream}, {"balance", server.balance}, {"servers", json::array()}});
    all.back()["servers"].push_back(server_json(server));
  }
  send_json(*exchange.responder, 200, to_text({{"upstreams", std::move(all)}}));
}

void drain(const ApiOptions& options, const Exchange& exchange) {
  const base::Result<DrainCall> call = parse_drain(exchange.request.body);
  if (!call) return send_error(*exchange.responder, call.error());
  const base::Status done =
      options.drain_server ? options.drain_server(call->upstream, call->server, call->draining)
                           : base::Status(base::Error{base::Code::kNotFound,
                                                      "No upstream here has several servers.", "upstream"});
  if (!done) return send_error(*exchange.responder, done.error());
  show_upstreams(options, exchange);
}

}  // namespace

void add_upstream_routes(Router& router, const ApiOptions& options) {
  router.add("GET", "/v1/upstreams",
             [&options](const Exchange& exchange) { show_upstreams(options, exchange); });
  router.add("POST", "/v1/upstreams/drain",
             [&options](const Exchange& exchange) { drain(options, exchange); });
}

}  // namespace pmt::api
