#include "api/completions/embedding_routes.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <span>

#include <fmt/format.h>

#include "api/errors.h"
#include "api/json/fields.h"
#include "api/json/json_writer.h"
#include "api/json/render_parts.h"
#include "api/routes/model_list.h"
#include "base/json_text.h"
#include "telemetry/trace_context.h"

namespace pmt::api {
namespace {

using llm::EmbedInput;

constexpr std::size_t kInputsMax = 2048;  // OpenAI's

constexpr std::int64_t kTokensMax = 1'000'000'000'000;  // of an upstream's word: sums of some of them fit

struct EmbeddingCall {
  std::string model;
  std::vector<EmbedInput> inputs;
  bool base64 = false;
  std::optional<std::size_t> dimensions;
};

base::Status read_ids(Json value, std::vector<std::int32_t>& out) {
  TRY(read_array(value, kTextMax, [&out](Json item) {
    return integer(item, 0, std::numeric_limits<std::int32_t>::max(), out.emplace_back());
  }));
  if (out.empty()) return base::invalid("must not be empty");
  return {};
}

base::Status read_text(Json value, std::string& out) {
  TRY(text(value, kTextMax, out));
  if (out.empty()) return base::invalid("must not be an empty string");
  return {};
}

base::Status read_input(Json value, EmbeddingCall& call) {
  call.inputs.clear();
  if (value.is_string()) return read_text(value, call.inputs.emplace_back().text);
  simdjson::dom::array items;
  if (value.get(items) != simdjson::SUCCESS) return mismatch("a string or an array", value);
  if (items.size() == 0) return base::invalid("must not be empty");
  const Json first = items.at(0).value_unsafe();
  if (first.is_string()) {
    return read_array(value, kInputsMax,
                      [&](Json item) { return read_text(item, call.inputs.emplace_back().text); });
  }
  if (first.is_array()) {
    return read_array(value, kInputsMax,
                      [&](Json item) { return read_ids(item, call.inputs.emplace_back().tokens); });
  }
  return read_ids(value, call.inputs.emplace_back().tokens);
}

constexpr Rule<EmbeddingCall> kEmbeddingRules[] = {
    {"model", [](Json v, EmbeddingCall& c) { return text(v, kTextMax, c.model); }},
    {"input", read_input},
    {"encoding_format",
     [](Json v, EmbeddingCall& c) {
       return one_of<bool>(v, {{"float", false}, {"base64", true}}, c.base64);
     }},
    {"dimensions", [](Json v, EmbeddingCall& c) { return integer(v, 1, 65'536, c.dimensions); }},
};

base::Result<EmbeddingCall> parse_call(const std::string& body) {
  TRY_ASSIGN(const Json root, parse_json(body));
  EmbeddingCall call;
  if (base::Status read = read_object<EmbeddingCall>(root, kEmbeddingRules, UnknownKeys::kIgnored, call);
      !read) {
    return name_field(read.error());
  }
  if (call.model.empty()) return name_field(base::invalid("is required", "model"));
  if (call.inputs.empty()) return name_field(base::invalid("is required", "input"));
  return call;
}

void append_base64(std::string& out, std::span<const float> row) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::uint32_t bits = 0;
  int count = 0;
  const std::size_t begin = out.size();
  for (const float value : row) {
    const auto word = std::bit_cast<std::uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) {  // least byte first, whatever the machine
      bits = bits << 8 | (word >> shift & 0xFFU);
      for (count += 8; count >= 6; count -= 6) out += kDigits[bits >> (count - 6) & 63U];
    }
  }
  if (count > 0) out += kDigits[bits << (6 - count) & 63U];
  while ((out.size() - begin) % 4 != 0) out += '=';
}

void append_floats(std::string& out, std::span<const float> row) {
  char buffer[32];
  char separator = '[';
  for (const float value : row) {
    out += std::exchange(separator, ',');
    out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
  }
  out += ']';
}

/// The first `dimensions`, of length 1 again.
void shorten(std::span<float> row) {
  double squares = 0;
  for (const float value : row) squares += static_cast<double>(value) * value;
  const auto scale = static_cast<float>(squares > 0 ? 1 / std::sqrt(squares) : 0);
  for (float& value : row) value *= scale;
}

std::string render(const EmbeddingCall& call, llm::Embeddings& embeddings) {
  const std::size_t width = embeddings.width;
  const std::size_t kept = call.dimensions.value_or(width);
  std::string out;
  out.reserve(call.inputs.size() * kept * 12 + 256);
  ObjectWriter body(out);
  body.string("object", "list");
  body.member("data") += '[';
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    if (i > 0) out += ',';
    const std::span<float> row(embeddings.values.data() + i * width, kept);
    if (kept < width) shorten(row);
    ObjectWriter item(out);
    item.string("object", "embedding");
    item.integer("index", static_cast<std::int64_t>(i));
    item.member("embedding");
    if (call.base64) {
      out += '"';
      append_base64(out, row);
      out += '"';
    } else {
      append_floats(out, row);
    }
    item.end();
  }
  out += ']';
  body.string("model", call.model);
  append_input_usage(body.member("usage"), embeddings.tokens);
  body.end();
  return out;
}

/// Null unless the body names an upstream's model: whose server reads the rest.
llm::Forwarder* forwarder_of(const ApiOptions& options, const std::string& body) {
  const auto forwards = [](const auto& one) { return one.second.forwarder != nullptr; };
  if (std::none_of(options.embedders.begin(), options.embedders.end(), forwards) ||
      !parse_json(body, LongIntegers::kAsReals))
    return nullptr;
  const auto model = base::json_string(base::value_of(base::members_of(body), "model"));
  const auto found = model ? options.embedders.find(*model) : options.embedders.end();
  return found == options.embedders.end() ? nullptr : found->second.forwarder;
}

void forward(llm::Forwarder& forwarder, Exchange& exchange) {
  const base::CancelToken cancel;
  exchange.responder->on_disconnect([cancel] { cancel.cancel(); });
  forwarder.forward(
      {.body = std::move(exchange.request.body),
       .id = exchange.id,
       .traceparent = telemetry::traceparent(exchange.record->trace, exchange.record->span_id)},
      cancel, [responder = exchange.responder, record = exchange.record](base::Result<std::string> answer) {
        if (!answer) return send_error(*responder, answer.error());
        const auto usage = base::members_of(base::value_of(base::members_of(*answer), "usage"));
        const auto tokens = base::json_integer(base::value_of(usage, "prompt_tokens")).value_or(0);
        record->other_tokens = std::clamp<std::int64_t>(tokens, 0, kTokensMax);
        send_json(*responder, 200, std::move(*answer));
      });
}

void embed(const ApiOptions& options, Exchange exchange) {
  if (llm::Forwarder* const forwarder = forwarder_of(options, exchange.request.body))
    return forward(*forwarder, exchange);
  base::Result<EmbeddingCall> parsed = parse_call(exchange.request.body);
  if (!parsed) return send_error(*exchange.responder, parsed.error());
  const auto model = find_embedder(options, parsed->model);
  if (!model) return send_error(*exchange.responder, model.error());
  const auto call = std::make_shared<EmbeddingCall>(std::move(*parsed));
  std::vector<EmbedInput> inputs = call->inputs;
  const base::CancelToken cancel;
  exchange.responder->on_disconnect([cancel] { cancel.cancel(); });
  (*model)->embedder->embed_async(
      std::move(inputs), cancel,
      [call, responder = exchange.responder,
       record = exchange.record](base::Result<llm::Embeddings> embeddings) {
        if (!embeddings) return send_error(*responder, embeddings.error());
        if (call->dimensions && *call->dimensions > embeddings->width) {
          return send_error(
              *responder, name_field(base::invalid(fmt::format("must be at most {}, the model's own, not {}",
                                                               embeddings->width, *call->dimensions),
                                                   "dimensions")));
        }
        record->other_tokens = embeddings->tokens;
        send_json(*responder, 200, render(*call, *embeddings));
      });
}

}  // namespace

void add_embedding_routes(Router& router, const ApiOptions& options) {
  router.add("POST", "/v1/embeddings",
             [&options](Exchange exchange) { embed(options, std::move(exchange)); });
}

}  // namespace pmt::api
