#include "api/responses/response_routes.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "api/completions/completion_start.h"
#include "api/errors.h"
#include "api/json/fields.h"
#include "api/json/json_writer.h"
#include "api/responses/response_request.h"
#include "api/responses/response_writer.h"
#include "base/json.h"

namespace pmt::api {
namespace {

constexpr char kCancelTail[] = "/cancel";
constexpr char kItemsTail[] = "/input_items";
constexpr int kStemBytes = 12;

ResponseReader reader_of(const Exchange& exchange) {
  return {.tenant = exchange.caller->tenant(), .is_operator = exchange.caller->is_operator()};
}

void no_response(const Exchange& exchange, std::string_view id) {
  send_error(
      *exchange.responder,
      {base::Code::kNotFound,
       fmt::format("There is no response '{}' here: it was never stored, or is gone.", id.substr(0, 64)),
       "id"});
}

/// What was kept under the ids that the request names, in its place.
base::Status join_earlier(ResponseStore& store, const ResponseReader& reader, ResponseRequest& request,
                          ResponseConversation& conversation) {
  if (!request.previous_response_id.empty()) {
    TRY_ASSIGN(conversation.history, store.conversation(request.previous_response_id, reader));
  }
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    ResponseInputItem& item = request.items[i];
    if (item.reference.empty()) continue;
    auto kept = store.item(item.reference, reader);
    if (!kept) {
      return name_field(base::invalid("names an item that isn't kept here: send the item itself",
                                      fmt::format("input[{}].id", i)));
    }
    item = {.json = *std::move(kept), .joined = true};
  }
  return {};
}

struct Wanted {
  PreparedCall prepared;
  FieldNames names;
  ResponseShape shape;
  std::vector<std::string> input;
};

base::Result<Wanted> read_create(const ApiOptions& options, ResponseStore& store, const Exchange& exchange) {
  TRY_ASSIGN(ResponseRequest request, read_response_request(exchange.request.body));
  ResponseConversation conversation{.history = {}, .id_stem = random_hex(options.random, kStemBytes)};
  TRY(join_earlier(store, reader_of(exchange), request, conversation));
  ResponseShape shape{.id_stem = conversation.id_stem,
                      .model = "",
                      .created_unix_s = options.clock->unix_seconds(),
                      .previous_response_id = request.previous_response_id,
                      .store = request.store,
                      .background = request.background,
                      .sent = std::move(request.sent)};
  TRY_ASSIGN(ResponseCall call, finish_response_request(std::move(request), conversation,
                                                        exchange.request.body, options.engine_options));
  shape.model = call.call.request.model;
  auto prepared = prepare_completion(std::move(call.call), std::move(call.chat), options, exchange,
                                     {.api = llm::Api::kResponses, .text = std::move(call.own)});
  if (!prepared) return call.names.own_words(prepared.error());
  return Wanted{*std::move(prepared), std::move(call.names), std::move(shape), std::move(call.input)};
}

StoredResponse stored_form(const ResponseObject& response, const std::string& tenant,
                           const std::vector<std::string>& input) {
  StoredResponse out{.tenant = tenant,
                     .previous = response.shape().previous_response_id,
                     .input = input,
                     .output = {},
                     .json = response.json()};
  for (const ResponseItem& item : response.items()) {
    if (std::string_view(item.status) == "in_progress") continue;  // it broke off there
    ResponseObject::append_item(out.output.emplace_back(), item);
  }
  return out;
}

/// Keeps what the response has become: its end, and in the background each step to it.
ResponseListener keeper(ResponseStore& store, const Exchange& exchange, const Wanted& wanted,
                        const base::CancelToken& cancel) {
  return [&store, tenant = exchange.caller->tenant(), input = wanted.input,
          cancel](const ResponseObject& response) {
    const bool running = std::string_view(response.status()) == "in_progress";
    const bool background = response.shape().background;
    if (running && !background) return;
    StoredResponse kept = stored_form(response, tenant, input);
    if (running) kept.running = cancel;
    if (background) return store.update(response.shape().id(), std::move(kept));
    (void)store.add(response.shape().id(), std::move(kept));  // only one that runs may be refused
  };
}

/// The request's answer now, the response's later. Errors: too many wait.
base::Status begin_background(ResponseStore& store, const Exchange& exchange, const Wanted& wanted,
                              const base::CancelToken& cancel) {
  ResponseObject queued(wanted.shape);
  queued.set_status("queued");
  StoredResponse kept = stored_form(queued, exchange.caller->tenant(), wanted.input);
  kept.running = cancel;
  std::string body = kept.json;
  TRY(store.add(wanted.shape.id(), std::move(kept)));
  if (!wanted.prepared.call.stream)
    exchange.answer_early({200, {{"content-type", "application/json"}}, std::move(body)});
  return {};
}

void create(const ApiOptions& options, ResponseStore& store, const Exchange& exchange) {
  base::Result<Wanted> wanted = read_create(options, store, exchange);
  if (!wanted) return send_error(*exchange.responder, wanted.error());
  const base::CancelToken cancel;
  const bool background = wanted->shape.background;
  if (background) {
    if (const base::Status begun = begin_background(store, exchange, *wanted, cancel); !begun)
      return send_error(*exchange.responder, begun.error());
  }
  ResponseWriterOptions how{.shape = wanted->shape,
                            .unix_seconds = [clock = options.clock] { return clock->unix_seconds(); }};
  if (wanted->shape.store) how.on_change = keeper(store, exchange, *wanted, cancel);
  const Writers writers{.whole = [&how] { return make_response_writer(std::move(how)); },
                        .streamed = [&how] { return make_response_stream_writer(std::move(how)); }};
  start_completion(std::move(wanted->prepared), writers, options, exchange,
                   {.names = std::move(wanted->names), .cancel = cancel, .outlives_client = background});
}

void cancel_response(ResponseStore& store, const Exchange& exchange, const std::string& id) {
  const auto response = store.find(id, reader_of(exchange));
  if (response == nullptr) return no_response(exchange, id);
  if (!response->running) {
    const auto json = base::parse_json(response->json, {.depth_max = base::kJsonDepthMax * 2});
    if (json && base::flag_at(*json, "background").value_or(false))
      return send_json(*exchange.responder, 200, response->json);
    return send_error(
        *exchange.responder,
        base::invalid("Only a response with 'background' can be cancelled: to end another, close "
                      "its connection.",
                      "id"));
  }
  StoredResponse cancelled = *response;
  cancelled.running.reset();
  if (auto json = base::parse_json(response->json, {.depth_max = base::kJsonDepthMax * 2})) {
    (*json)["status"] = "cancelled";
    cancelled.json = to_text(*json);
  }
  const std::string body = cancelled.json;
  store.update(id, std::move(cancelled));
  response->running->cancel();
  send_json(*exchange.responder, 200, body);
}

struct Page {
  std::int64_t limit = 20;
  bool ascending = false;
  std::string after = {};
};

base::Result<Page> read_page(const net::HttpRequest& request) {
  constexpr std::int64_t kLimitMax = 100;
  Page page;
  for (const auto& [name, value] : request.query) {
    if (name == "after") page.after = value;
    if (name == "order") {
      if (value != "asc" && value != "desc") return base::invalid("'order' must be asc or desc.", "order");
      page.ascending = value == "asc";
    }
    if (name != "limit") continue;
    const char* const end = value.data() + value.size();
    const auto [read, error] = std::from_chars(value.data(), end, page.limit);
    if (error != std::errc() || read != end || page.limit < 1 || page.limit > kLimitMax)
      return base::invalid("'limit' must be a number between 1 and 100.", "limit");
  }
  return page;
}

/// The id that an item begins with: kept items are of our own making.
std::string item_id(const std::string& item) {
  const auto json = base::parse_json(item, {.depth_max = base::kJsonDepthMax * 2});
  return json ? base::text_at(*json, "id") : "";
}

void list_inputs(ResponseStore& store, const Exchange& exchange, const std::string& id) {
  const ResponseReader reader = reader_of(exchange);
  if (store.find(id, reader) == nullptr) return no_response(exchange, id);
  const base::Result<Page> page = read_page(exchange.request);
  if (!page) return send_error(*exchange.responder, page.error());
  std::vector<std::string> items = store.inputs(id, reader);
  if (!page->ascending) std::ranges::reverse(items);
  auto first = items.begin();
  if (!page->after.empty()) {
    first =
        std::ranges::find_if(items, [&](const std::string& item) { return item_id(item) == page->after; });
    if (first == items.end()) {
      return send_error(*exchange.responder,
                        base::invalid("'after' must be the id of an item of this list.", "after"));
    }
    ++first;
  }
  const auto last = first + std::min<std::ptrdiff_t>(page->limit, items.end() - first);
  std::string out;
  ObjectWriter w(out);
  w.string("object", "list");
  w.member("data") += '[';
  for (auto item = first; item != last; ++item) out += (item == first ? "" : ",") + *item;
  out += ']';
  w.string("first_id", first == last ? "" : item_id(*first));
  w.string("last_id", first == last ? "" : item_id(*std::prev(last)));
  w.member("has_more") += last == items.end() ? "false" : "true";
  w.end();
  send_json(*exchange.responder, 200, std::move(out));
}

void get(ResponseStore& store, const Exchange& exchange) {
  const std::string& tail = exchange.tail;
  if (tail.ends_with(kItemsTail))
    return list_inputs(store, exchange, tail.substr(0, tail.size() - sizeof kItemsTail + 1));
  if (exchange.request.query_value("stream") == "true") {
    return send_error(
        *exchange.responder,
        base::invalid("'stream' isn't supported where a response is fetched: ask again until its "
                      "status is final.",
                      "stream"));
  }
  const auto response = store.find(tail, reader_of(exchange));
  if (response == nullptr) return no_response(exchange, tail);
  send_json(*exchange.responder, 200, response->json);
}

void post(ResponseStore& store, const Exchange& exchange) {
  const std::string& tail = exchange.tail;
  if (tail.ends_with(kCancelTail))
    return cancel_response(store, exchange, tail.substr(0, tail.size() - sizeof kCancelTail + 1));
  send_error(*exchange.responder,
             {base::Code::kNotFound, fmt::format("There is no POST {} here.", exchange.request.path)});
}

void remove(ResponseStore& store, const Exchange& exchange) {
  if (!store.erase(exchange.tail, reader_of(exchange))) return no_response(exchange, exchange.tail);
  std::string out;
  ObjectWriter w(out);
  w.string("id", exchange.tail);
  w.string("object", "response");
  w.member("deleted") += "true";
  w.end();
  send_json(*exchange.responder, 200, std::move(out));
}

}  // namespace

void add_response_routes(Router& router, const ApiOptions& options, ResponseStore& store) {
  router.add("POST", "/v1/responses", [&](const Exchange& exchange) { create(options, store, exchange); });
  router.add("GET", "/v1/responses/{path}", [&store](const Exchange& exchange) { get(store, exchange); });
  router.add("POST", "/v1/responses/{path}", [&store](const Exchange& exchange) { post(store, exchange); });
  router.add("DELETE", "/v1/responses/{path}",
             [&store](const Exchange& exchange) { remove(store, exchange); });
}

}  // namespace pmt::api
