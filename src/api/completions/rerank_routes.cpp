#include "api/completions/rerank_routes.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "api/errors.h"
#include "api/json/fields.h"
#include "api/json/json_writer.h"
#include "api/json/render_parts.h"
#include "api/routes/model_list.h"

namespace pmt::api {
namespace {

constexpr std::size_t kDocumentsMax = 2048;

struct RerankCall {
  std::string model;
  std::string query;
  std::vector<std::string> documents;
  std::optional<std::size_t> top_n;
  bool return_documents = true;
};

base::Status read_text(Json value, std::string& out) {
  TRY(text(value, kTextMax, out));
  if (out.empty()) return base::invalid("must not be an empty string");
  return {};
}

/// A text, or an object that has one.
base::Status read_document(Json value, std::string& out) {
  static constexpr Rule<std::string> kRules[] = {{"text", read_text}};
  if (value.is_string()) return read_text(value, out);
  if (!value.is_object()) return mismatch("a string or an object with a text", value);
  TRY(read_object<std::string>(value, kRules, UnknownKeys::kIgnored, out));
  if (out.empty()) return below("text", base::invalid("is required"));
  return {};
}

constexpr Rule<RerankCall> kRules[] = {
    {"model", [](Json v, RerankCall& c) { return text(v, 256, c.model); }},
    {"query", [](Json v, RerankCall& c) { return read_text(v, c.query); }},
    {"documents",
     [](Json v, RerankCall& c) {
       c.documents.clear();
       return read_array(v, kDocumentsMax,
                         [&c](Json item) { return read_document(item, c.documents.emplace_back()); });
     }},
    {"top_n",
     [](Json v, RerankCall& c) { return integer(v, 1, std::numeric_limits<std::int64_t>::max(), c.top_n); }},
    {"return_documents", [](Json v, RerankCall& c) { return flag(v, c.return_documents); }},
};

base::Result<RerankCall> parse_call(const std::string& body) {
  TRY_ASSIGN(const Json root, parse_json(body));
  RerankCall call;
  if (base::Status read = read_object<RerankCall>(root, kRules, UnknownKeys::kIgnored, call); !read)
    return name_field(read.error());
  if (call.query.empty()) return name_field(base::invalid("is required", "query"));
  if (call.documents.empty()) return name_field(base::invalid("is required: a list of texts", "documents"));
  return call;
}

/// The one that is named, or the only one that there is.
base::Result<const ServedEmbedder*> embedder_of(const ApiOptions& options, RerankCall& call) {
  if (call.model.empty() && options.embedders.size() == 1) call.model = options.embedders.begin()->first;
  if (call.model.empty() && !options.embedders.empty())
    return name_field(base::invalid("is required: one that makes embeddings", "model"));
  auto found = find_embedder(options, call.model);
  // It is there, and can't do this.
  if (!found && options.models.contains(call.model)) return base::invalid(found.error().message, "model");
  if (found && (*found)->embedder == nullptr) {
    return name_field(
        base::invalid("must be a local one that makes embeddings: this one is another server's, ask "
                      "that for /v1/rerank",
                      "model"));
  }
  return found;
}

/// The embedder speaks of input[i]: here the query, then the documents.
base::Error own_words(base::Error error) {
  constexpr std::string_view kInput = "input[";
  if (!error.field.starts_with(kInput)) return error;
  std::size_t i = 0;
  std::from_chars(error.field.data() + kInput.size(), error.field.data() + error.field.size(), i);
  const std::string own = i == 0 ? "query" : fmt::format("documents[{}]", i - 1);
  if (const auto at = error.message.find(error.field); at != std::string::npos)
    error.message.replace(at, error.field.size(), own);
  error.field = own;
  return error;
}

std::string render(const std::string& id, const RerankCall& call, const llm::Embeddings& embeddings) {
  const std::size_t width = embeddings.width, count = call.documents.size();
  const float* const query = embeddings.values.data();
  std::vector<double> scores;  // each row has length 1
  for (std::size_t i = 1; i <= count; ++i)
    scores.push_back(std::inner_product(query, query + width, query + i * width, 0.0));
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&scores](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  order.resize(std::min(count, call.top_n.value_or(count)));

  std::string out;
  ObjectWriter body(out);
  body.string("id", id);
  body.string("model", call.model);
  body.member("results") += '[';
  for (const std::size_t i : order) {
    if (out.back() != '[') out += ',';
    ObjectWriter item(out);
    item.integer("index", static_cast<std::int64_t>(i));
    item.real("relevance_score", scores[i]);
    if (call.return_documents) {
      ObjectWriter document(item.member("document"));
      document.string("text", call.documents[i]);
      document.end();
    }
    item.end();
  }
  out += ']';
  append_input_usage(body.member("usage"), embeddings.tokens);
  body.end();
  return out;
}

void rerank(const ApiOptions& options, const Exchange& exchange) {
  base::Result<RerankCall> parsed = parse_call(exchange.request.body);
  if (!parsed) return send_error(*exchange.responder, parsed.error());
  const auto model = embedder_of(options, *parsed);
  if (!model) return send_error(*exchange.responder, model.error());
  const auto call = std::make_shared<RerankCall>(std::move(*parsed));
  std::vector<llm::EmbedInput> inputs{{.text = call->query}};
  for (const std::string& document : call->documents) inputs.push_back({.text = document});
  const base::CancelToken cancel;
  exchange.responder->on_disconnect([cancel] { cancel.cancel(); });
  (*model)->embedder->embed_async(
      std::move(inputs), cancel,
      [call, id = "rerank-" + random_hex(options.random, 12), responder = exchange.responder,
       record = exchange.record](base::Result<llm::Embeddings> embeddings) {
        if (!embeddings) return send_error(*responder, own_words(embeddings.error()));
        record->other_tokens = embeddings->tokens;
        send_json(*responder, 200, render(id, *call, *embeddings));
      });
}

}  // namespace

void add_rerank_routes(Router& router, const ApiOptions& options) {
  router.add("POST", "/v1/rerank", [&options](const Exchange& exchange) { rerank(options, exchange); });
}

}  // namespace pmt::api
