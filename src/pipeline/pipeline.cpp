#include "pipeline/pipeline.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "pipeline/unified_request.h"

namespace pmt::pipeline {
namespace {

using nlohmann::json;

/// A token is at most about this many bytes of text on average: above, counting can't change the route.
constexpr std::int64_t kBytesPerTokenMax = 16;

/// Passes everything on, and adds what the pipeline did to the report.
class ReportingSink final : public llm::Sink {
 public:
  ReportingSink(std::shared_ptr<llm::Sink> sink, json about)
      : sink_(std::move(sink)), about_(std::move(about)) {}

  void on_event(llm::Event&& event) override {
    if (auto* started = std::get_if<llm::Started>(&event)) started->model = kModelName;
    if (auto* done = std::get_if<llm::Done>(&event)) {
      if (!done->report.engine.is_object()) done->report.engine = json::object();
      done->report.engine["pipeline"] = about_;
    }
    sink_->on_event(std::move(event));
  }

 private:
  const std::shared_ptr<llm::Sink> sink_;
  const json about_;
};

}  // namespace

std::int64_t UnifiedPipeline::context_tokens(const llm::Request& request, std::int64_t threshold) const {
  std::int64_t bytes = 0;
  for (const auto& m : request.messages) bytes += static_cast<std::int64_t>(m.content.size());
  for (const auto& part : engines_.given_context(request)) bytes += static_cast<std::int64_t>(part.size());
  if (bytes < threshold) return -1;                      // a token has a byte at least: surely below
  if (bytes > threshold * kBytesPerTokenMax) return -2;  // surely above
  std::int64_t tokens = 0;
  for (const auto& m : request.messages) tokens += engines_.tokenizer.count_tokens(m.content);
  for (const auto& part : engines_.given_context(request)) tokens += engines_.tokenizer.count_tokens(part);
  return tokens;
}

void UnifiedPipeline::start(llm::Request&& request, std::shared_ptr<llm::Sink> sink,
                            base::CancelToken cancel) {
  const auto& asked = request.options.get<UnifiedRequest>();
  const bool basic = asked.basic_kv.value_or(options_.basic_kv);
  const bool continual = asked.continual_kv.value_or(options_.continual_kv);
  const bool inference = asked.inference_kv.value_or(options_.inference_kv);
  const std::int64_t threshold = asked.rlm_context_threshold.value_or(options_.rlm_context_threshold);
  const double ratio = asked.ratio.value_or(request.kv.ratio.value_or(options_.ratio));

  const std::int64_t tokens = context_tokens(request, threshold);
  const bool given = !engines_.given_context(request).empty();
  const bool is_long = tokens == -2 || tokens > threshold;
  const bool tables = !given && !is_long && engines_.asks_tables(request);
  const char* const only_rlm = engines_.only_rlm(request);
  const bool to_rlm = given || is_long || tables || only_rlm != nullptr;
  request.surface = base::Surface::kUnified;
  if (!basic) request.cache.mode = llm::CacheMode::kOff;
  if (!continual) request.knowledge.clear();
  if (!asked.ratio && !request.kv.ratio) request.kv.best_effort = true;  // nobody asked for it by name
  request.kv.ratio = inference ? ratio : 1;

  json about = {{"route", to_rlm ? "rlm" : "permutation"},
                {"rlm_context_threshold", threshold},
                {"enable_basic_kv", basic},
                {"enable_continual_kv", continual},
                {"enable_inference_kv", inference},
                {"ratio", *request.kv.ratio},
                {"knowledge", request.knowledge}};
  if (tokens >= 0) about["context_tokens"] = tokens;
  about["why"] = given                 ? "a context was given"
                 : tables              ? "records are asked about"
                 : only_rlm != nullptr ? only_rlm
                 : is_long             ? "longer than the threshold"
                                       : "no longer than the threshold";
  llm::Completer& engine = to_rlm ? engines_.rlm : engines_.permutation;
  engine.start(std::move(request), std::make_shared<ReportingSink>(std::move(sink), std::move(about)),
               std::move(cancel));
}

}  // namespace pmt::pipeline
