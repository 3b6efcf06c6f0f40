// What a small chat request costs in this room: reading it, writing its answer, and both with routing
// between.
#include <benchmark/benchmark.h>

#include "api/api.h"
#include "api/json/parse.h"
#include "api/json/render.h"
#include "api/routes/supported.h"

namespace pmt::api {
namespace {

const std::string kRequestBody =
    R"({"model":"tiny","messages":[{"role":"system","content":"You are a helpful assistant."},)"
    R"({"role":"user","content":"Which river runs through the old town, and how long is it?"}],)"
    R"("temperature":0,"max_tokens":64,"seed":7,"stream":false,"permutation":{"cache":{"mode":"on","ttl_s":3600}}})";
const std::string kAnswerText =
    "The river that runs through the old town is the Linde; from its spring to the sea it is 212 kilometres "
    "long.";

llm::CacheReport hit() {
  return {.status = llm::CacheStatus::kHit,
          .key = std::string(64, 'a'),
          .age_s = 12.25,
          .similarity = {},
          .tokens_saved = 41,
          .usd_saved = 0.0004,
          .why = ""};
}

/// Answers inside start, as a cache hit does.
class HitCompleter final : public llm::Completer {
 public:
  void start(llm::Request&&, std::shared_ptr<llm::Sink> sink, base::CancelToken) override {
    sink->on_event(llm::Started{.model = "tiny", .created_unix_s = 1'700'000'000, .cache = hit()});
    sink->on_event(llm::Delta{.choice = 0, .text = kAnswerText, .logprobs = {}});
    sink->on_event(llm::ChoiceEnd{});
    llm::Done done{.usage = {.prompt_tokens = 40, .completion_tokens = 25}, .report = {}};
    done.report.cache = hit();
    sink->on_event(std::move(done));
  }
};

class CountingResponder final : public net::Responder {
 public:
  void send(net::HttpResponse response) override { bytes += response.body.size(); }
  void start_stream(net::HttpResponse head) override { bytes += head.body.size(); }
  void write(std::string chunk) override { bytes += chunk.size(); }
  void finish_stream() override {}
  void on_disconnect(std::function<void()>) override {}
  std::size_t bytes = 0;
};

void parse(benchmark::State& state) {
  for (auto _ : state) {
    auto call = parse_completion(llm::Endpoint::kChat, kRequestBody, {});
    if (!call || !check_supported(*call, Answerer::kModel)) state.SkipWithError("refused");
    benchmark::DoNotOptimize(call);
  }
}
BENCHMARK(parse);

void render(benchmark::State& state) {
  for (auto _ : state) {
    AnswerRenderer answer({.endpoint = llm::Endpoint::kChat, .id = "chatcmpl-0123456789", .logprobs = {}});
    answer.add(llm::Started{.model = "tiny", .created_unix_s = 1'700'000'000, .cache = hit()});
    answer.add(llm::Delta{.choice = 0, .text = kAnswerText, .logprobs = {}});
    answer.add(llm::ChoiceEnd{});
    llm::Done done{.usage = {.prompt_tokens = 40, .completion_tokens = 25}, .report = {}};
    done.report.cache = hit();
    benchmark::DoNotOptimize(answer.finish(done));
  }
}
BENCHMARK(render);

void whole_request(benchmark::State& state) {
  const base::SystemClock clock;
  HitCompleter completer;
  ApiOptions options{.models = {}, .cache = nullptr, .clock = &clock};
  options.models["tiny"] = {.completer = &completer};
  Api api(std::move(options));
  const net::Handler handler = api.handler();
  for (auto _ : state) {
    auto responder = std::make_shared<CountingResponder>();
    net::HttpRequest request;
    request.method = "POST";
    request.path = "/v1/chat/completions";
    request.headers = {{"content-type", "application/json"}, {"authorization", "Bearer none"}};
    request.body = kRequestBody;
    handler(std::move(request), responder);
    if (responder->bytes < kAnswerText.size()) state.SkipWithError("no answer");
  }
}
BENCHMARK(whole_request);

}  // namespace
}  // namespace pmt::api

BENCHMARK_MAIN();
