#include "api/observe/request_spans.h"

#include "telemetry/trace_context.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using telemetry::Span;

class Spans {
 public:
  Spans(const RequestRecord& record, std::int64_t offset_ns)
      : record_(record), offset_ns_(offset_ns), next_id_(record.span_seed) {}

  std::vector<Span> make() {
    Span server =
        span(record_.method + " " + record_.route, record_.trace.span_id, record_.begun, record_.ended);
    server.span_id = record_.span_id;
    server.kind = Span::Kind::kServer;
    server.attributes = {{"http.request.method", record_.method},
                         {"http.route", record_.route},
                         {"http.response.status_code", record_.status},
                         {"permutation.request.id", record_.id}};
    if (!record_.key.empty()) server.attributes.emplace_back("permutation.key", record_.key);
    if (!record_.tenant.empty()) server.attributes.emplace_back("permutation.tenant", record_.tenant);
    mark_failure(server, record_.status >= 500);
    out_.push_back(std::move(server));
    if (record_.completion) add_completion(*record_.completion);
    return std::move(out_);
  }

 private:
  Span span(std::string name, std::string parent, base::Nanos begin, base::Nanos end) {
    return {.trace_id = record_.trace.trace_id,
            .span_id = telemetry::new_id([this] { return next_id_ += 0x9E3779B97F4A7C15ULL; }, 16),
            .parent_id = std::move(parent),
            .name = std::move(name),
            .begin_unix_ns = offset_ns_ + begin.count(),
            .end_unix_ns = offset_ns_ + end.count(),
            .attributes = {}};
  }

  void mark_failure(Span& span, bool failed) const {
    if (!failed) return;
    span.failed = true;
    if (record_.completion) span.error = record_.error;  // a refusal's may quote the request
    span.attributes.emplace_back("error.type", std::to_string(record_.status));
  }

  void add_completion(const CompletionFacts& facts) {
    Span model = span(facts.operation + " " + facts.model, record_.span_id, record_.begun, record_.ended);
    auto& attributes = model.attributes;
    attributes = {{"gen_ai.operation.name", facts.operation},
                  {"gen_ai.provider.name", "permutation"},
                  {"gen_ai.request.model", facts.model},
                  {"gen_ai.request.temperature", static_cast<double>(facts.temperature)}};
    if (facts.max_tokens) attributes.emplace_back("gen_ai.request.max_tokens", *facts.max_tokens);
    if (!facts.answered.empty()) attributes.emplace_back("gen_ai.response.model", facts.answered);
    if (facts.completed) {
      attributes.emplace_back("gen_ai.response.finish_reasons", facts.finish_reasons);
      attributes.emplace_back("gen_ai.usage.input_tokens", facts.usage.prompt_tokens);
      attributes.emplace_back("gen_ai.usage.output_tokens", facts.usage.completion_tokens);
      attributes.emplace_back("permutation.cache.status", llm::to_string(facts.cache_status()));
      if (facts.report.kv) {
        attributes.emplace_back("gen_ai.usage.cache_read.input_tokens",
                                facts.report.kv->prefix_tokens_reused);
        attributes.emplace_back("permutation.kv.ratio", facts.report.kv->ratio_achieved);
      }
    }
    mark_failure(model, !facts.completed);
    const std::string parent = model.span_id;
    out_.push_back(std::move(model));
    if (!facts.completed) return;
    Engine engine{.span = parent, .begun = record_.begun};
    for (const llm::ModelCall& call : facts.report.calls) {
      std::string id = add_call(call, facts.operation, parent);
      if (call.local && call.computations > 0 && call.error.empty()) engine = {std::move(id), call.begun};
    }
    if (facts.report.timing) add_phases(facts, *facts.report.timing, engine);
  }

  /// Where a model of ours computed the answer.
  struct Engine {
    std::string span;
    base::Nanos begun;
  };

  std::string add_call(const llm::ModelCall& call, const std::string& operation, const std::string& parent) {
    Span part = span(call.part + " " + call.model, parent, call.begun, call.ended);
    if (!call.local) part.kind = Span::Kind::kClient;
    part.attributes = {{"gen_ai.operation.name", operation},
                       {"gen_ai.request.model", call.model},
                       {"gen_ai.usage.input_tokens", call.prompt_tokens},
                       {"gen_ai.usage.output_tokens", call.completion_tokens},
                       {"permutation.part", call.part},
                       {"permutation.computed", call.computations > 0}};
    part.failed = !call.error.empty();
    part.error = call.error;
    out_.push_back(std::move(part));
    return out_.back().span_id;
  }

  /// The engine's phases follow one another.
  void add_phases(const CompletionFacts& facts, const llm::Timing& timing, const Engine& engine) {
    base::Nanos at = engine.begun;
    const auto phase = [&](const char* name, double ms) -> Span& {
      const base::Nanos end = at + base::Nanos(static_cast<std::int64_t>(ms * 1e6));
      out_.push_back(span(name, engine.span, at, end));
      at = end;
      return out_.back();
    };
    phase("queue", timing.queue_ms);
    auto& prefill = phase("prefill", timing.prefill_ms).attributes;
    const std::int64_t reused = facts.report.kv ? facts.report.kv->prefix_tokens_reused : 0;
    prefill = {{"permutation.prefill.tokens", facts.usage.prompt_tokens - reused},
               {"permutation.prefill.tokens_reused", reused}};
    if (facts.report.kv) prefill.emplace_back("permutation.kv.mode", facts.report.kv->mode);
    auto& decode = phase("decode", timing.decode_ms).attributes;
    decode = {{"permutation.decode.tokens", facts.usage.completion_tokens}};
    if (facts.report.speculation) {
      decode.emplace_back("permutation.speculation.drafted", facts.report.speculation->drafted);
      decode.emplace_back("permutation.speculation.accepted", facts.report.speculation->accepted);
    }
  }

  const RequestRecord& record_;
  const std::int64_t offset_ns_;
  std::uint64_t next_id_;
  std::vector<Span> out_;
};

}  // namespace

std::vector<Span> spans_of(const RequestRecord& record, std::int64_t unix_ns_of_clock) {
  return Spans(record, unix_ns_of_clock).make();
}

}  // namespace pmt::api
