// The demo's question about a context that the model's window can't hold.
#include <fmt/format.h>

#include "app/demo/demo_client.h"
#include "app/demo/demo_document.h"
#include "app/demo/demo_steps.h"

namespace pmt::app {

namespace {

using nlohmann::json;

constexpr int kRecords = 3'000;  // some 70,000 tokens
constexpr std::uint32_t kSeed = 71;

base::Status ask(const DemoServer& server, DemoStep& step) {
  const DemoDocument document = demo_document(kSeed, kRecords);
  TRY_ASSIGN(DemoClient client, DemoClient::connect(server.url));
  TRY_ASSIGN(const DemoAnswer answer, client.ask("rlm", document.text + "\n\n" + document.question,
                                                 /*max_tokens=*/24, /*kv_ratio=*/8));
  const json& engine = answer.body.at("permutation").at("engine");
  const json& strategy = engine.at("context_strategy");
  const auto total = strategy.at("chunks_total").get<std::int64_t>();
  const auto read = strategy.at("chunks_read").get<std::int64_t>();
  const auto context = engine.at("performance").at("context_tokens").get<std::int64_t>();
  step.figures = {
      {"text", answer.text}, {"planted", document.answer}, {"wall_ms", answer.wall_ms}, {"engine", engine}};
  step.lines.push_back(
      fmt::format("a ledger of {} tokens; it looked into {} of {} passages and read {} tokens, {:.0f} ms",
                  context, read, total, answer.prompt_tokens(), answer.wall_ms));
  step.lines.push_back(fmt::format("{}: \"{}\" ({} was planted)", strategy.at("kind").get<std::string>(),
                                   answer.text, document.answer));
  if (answer.text.find(document.answer) == std::string::npos)
    step.broken = "the answer is not the planted one";
  if (answer.prompt_tokens() * 10 > context) step.broken = "it read more than a tenth of the context";
  return {};
}

}  // namespace

DemoStep demo_rlm(const DemoServer& server) {
  DemoStep step{.title = "RecursiveLanguageModel: a context that no window holds"};
  try {
    if (const auto done = ask(server, step); !done) step.broken = done.error().message;
  } catch (const json::exception& error) {
    step.broken = fmt::format("an answer of the wrong shape: {}", error.what());
  }
  return step;
}

}  // namespace pmt::app
