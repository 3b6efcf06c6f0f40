#include "app/commands/check_model.h"

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "app/commands/report_error.h"
#include "app/commands/text_table.h"
#include "app/wiring/model_choice.h"
#include "base/ordered_json.h"
#include "inference/local_model.h"
#include "llm/sinks.h"

namespace pmt::app {
namespace {

constexpr std::string_view kSystem = "You are a careful clerk.", kThought = "Two plus two.",
                           kTool = "is_prime";
constexpr int kTokens = 16;

llm::Message turn(std::string role, std::string content, std::string thought = {}) {
  return {.role = std::move(role),
          .content = std::move(content),
          .name = {},
          .tool_call_id = {},
          .reasoning = std::move(thought)};
}

llm::Request conversation(const std::string& model) {
  llm::Request request;
  request.id = "check";
  request.model = model;
  request.messages = {turn("system", std::string(kSystem)), turn("user", "What is 2 + 2?"),
                      turn("assistant", "4", std::string(kThought)), turn("user", "Is 91 a prime number?")};
  request.max_tokens = kTokens;
  request.sampling.temperature = 0;
  return request;
}

llm::Request with_tool(llm::Request request) {
  llm::Tool tool{.type = "function", .function = {}, .sent = {}};
  tool.function = {
      .name = std::string(kTool),
      .description = "Whether a number is prime",
      .parameters = R"({"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]})"};
  tool.sent = fmt::format(R"({{"type":"function","function":{{"name":"{}","parameters":{}}}}})", kTool,
                          tool.function.parameters);
  request.tools = {std::move(tool)};
  return request;
}

/// What is found out, in the order in which it is told.
class Findings {
 public:
  void add(std::string what, std::string found) { rows_.push_back({std::move(what), std::move(found)}); }
  void fail(std::string what, const base::Error& error) {
    failed_ = true;
    add(std::move(what), "failed: " + error.message);
  }
  bool failed() const { return failed_; }
  void print(bool as_json) const {
    if (!as_json) return fmt::print("{}", text_table(rows_));
    nlohmann::ordered_json out;
    for (std::size_t i = 1; i < rows_.size(); ++i) out[rows_[i][0]] = rows_[i][1];
    fmt::print("{}\n", out.dump(2));
  }

 private:
  std::vector<std::vector<std::string>> rows_ = {{"of the model", "found"}};
  bool failed_ = false;
};

/// The prompt's text; "" where it can't be rendered.
std::string rendered(const inference::LocalModel& model, const llm::Request& request) {
  std::string out;
  const auto tokens = model.prompt_of(request);
  if (!tokens) return out;
  for (const std::int32_t token : *tokens) out += model.piece_of(token).value_or("");
  return out;
}

std::string thinking_found(const inference::LocalModel& model, const llm::Request& asked) {
  const inference::ModelInfo& info = model.info();
  if (!info.thinks) return "none: reasoning_effort and thinking budgets are ignored, and named in the answer";
  const auto told = [&](bool on, const char* effort) {
    llm::Request request = asked;
    request.thinking = {.on = on, .effort = effort};
    return rendered(model, request);
  };
  const std::string around = info.thought_close.empty()
                                 ? std::string("read by llama.cpp's parser, without a budget")
                                 : fmt::format("between {} and {}", info.thought_open, info.thought_close);
  return fmt::format(
      "{}; {}; {}", around,
      told(true, "") != told(false, "") ? "the template switches it off"
                                        : "off closes the thought, the template has no switch",
      told(true, "low") != told(true, "high") ? "it knows reasoning_effort" : "it knows no reasoning_effort");
}

void look_at_template(const inference::LocalModel& model, const CheckModelOptions& options, Findings& out) {
  const inference::ModelInfo& info = model.info();
  if (!info.has_chat_template) return out.add("chat template", "none: /v1/completions only");
  out.add("chat template", options.chat_template.empty() ? "its own" : options.chat_template);
  const llm::Request asked = conversation(info.name);
  if (const auto prompt = model.prompt_of(asked); !prompt) return out.fail("conversation", prompt.error());
  const std::string prompt = rendered(model, asked);
  const auto shows = [&prompt](std::string_view what) { return prompt.find(what) != std::string::npos; };
  out.add("system text", shows(kSystem) ? "shown" : "the template leaves it out");
  const llm::Request tooled = with_tool(asked);
  if (const auto with = model.prompt_of(tooled); !with) {
    out.fail("tools", with.error());
  } else {
    out.add("tools", info.native_tools ? "in the template's own notation" : "in a system text of ours");
  }
  out.add("thinking", thinking_found(model, asked));
  if (info.thinks)
    out.add("earlier thoughts", shows(kThought) ? "shown" : "the template leaves those of earlier turns out");
}

void generate(inference::LocalModel& model, Findings& out) {
  llm::Request request = conversation(model.info().name);
  if (!model.info().has_chat_template) {
    request.endpoint = llm::Endpoint::kCompletions;
    request.messages.clear();
    request.prompt = "The capital of France is";
  }
  const auto sink = std::make_shared<llm::CollectingSink>();
  model.start(std::move(request), sink, {});
  const auto events = sink->wait();
  if (const auto* failed = std::get_if<llm::Failed>(&events.back()))
    return out.fail("generated", failed->error);
  std::string thought;
  for (const llm::Event& event : events) {
    if (const auto* delta = std::get_if<llm::Delta>(&event)) thought += delta->reasoning;
  }
  const auto& done = std::get<llm::Done>(events.back());
  const llm::Timing timing = done.report.timing.value_or(llm::Timing());
  const nlohmann::json said = llm::text_of(events), thoughts = thought;  // quoted, on one line
  out.add("generated", fmt::format("{} tokens in {:.2f} s: {}", done.usage.completion_tokens,
                                   (timing.prefill_ms + timing.decode_ms) / 1e3, said.dump(-1, ' ', true)));
  if (!thought.empty())
    out.add("thought",
            fmt::format("{} tokens: {}", done.usage.reasoning_tokens, thoughts.dump(-1, ' ', true)));
}

void add_caches(const inference::LocalModel& model, Findings& out) {
  using State = inference::CalibrationStatus::State;
  out.add("forms of answers", "schemas, patterns, choices and grammars");
  const std::string& elsewhere = model.info().runs_elsewhere;
  if (!elsewhere.empty()) {
    out.add("KV compression", "off: " + elsewhere);
    return out.add("caches", "answers, knowledge; prompts that begin alike share what was read");
  }
  out.add("KV compression", model.calibration().state == State::kReady
                                ? "calibrated"
                                : "yes; calibrated when a request first asks for it");
  out.add("caches", "answers, prefixes, knowledge; prompt-lookup speculation");
}

base::Result<Findings> look(const CheckModelOptions& options) {
  ModelConfig config = model_from_spec(options.model);
  config.chat_template = options.chat_template;
  TRY_ASSIGN(inference::LocalModelOptions wanted, resolve_model(config));
  wanted.sequences_max = 1;
  wanted.calibrates = false;
  const base::SystemClock clock;
  TRY_ASSIGN(const auto model, inference::LocalModel::load(std::move(wanted), clock));
  const inference::ModelInfo& info = model->info();
  Findings out;
  out.add("file", info.path);
  out.add("architecture", info.architecture);
  out.add("size", fmt::format("{}, {:.1f} M parameters, {} tokens of context",
                              human_bytes(static_cast<double>(info.file_bytes)),
                              static_cast<double>(info.parameters) / 1e6, info.context_tokens));
  look_at_template(*model, options, out);
  generate(*model, out);
  add_caches(*model, out);
  return out;
}

}  // namespace

int check_model(const CheckModelOptions& options) {
  const auto findings = look(options);
  if (!findings) return report_by_code(findings.error());
  findings->print(options.json);
  return findings->failed() ? kExitFailed : kExitDone;
}

}  // namespace pmt::app
