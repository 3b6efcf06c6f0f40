// The demo's step with a restart in its middle: what was read and what was learnt before it is still known after it.
#include <fmt/format.h>

#include "app/commands/server_call.h"
#include "app/demo/demo_client.h"
#include "app/demo/demo_document.h"
#include "app/demo/demo_knowledge.h"
#include "app/demo/demo_steps.h"
#include "base/json.h"

namespace pmt::app {

namespace {

using nlohmann::json;

constexpr char kDomain[] = "restart";
constexpr char kHandbook[] =
    "# Handbook of Zorvane Labs\n\n## Leave\n\nEmployees of Zorvane Labs have twenty-seven days of paid leave a year. "
    "Whoever has children under twelve gets three more days. Leave that isn't taken by the end of March is lost.\n\n"
    "## Travel\n\nTravel by train is booked by the travel desk on the second floor. Hotels may cost at most ninety euros "
    "a night, breakfast included.\n";
constexpr char kQuestion[] = "How many days of paid leave do employees of Zorvane Labs have?";
constexpr int kRecords = 60;  // some 1,500 tokens
constexpr std::uint32_t kSeed = 40;

void claim(DemoStep& step, bool holds, const std::string& otherwise) {
  if (!holds && step.broken.empty()) step.broken = otherwise;
}

/// No answer comes from the response cache.
base::Result<DemoAnswer> ask(const DemoServer& server, const std::string& text, json permutation) {
  TRY_ASSIGN(DemoClient client, DemoClient::connect(server.url));
  permutation["cache"]["mode"] = "off";
  return client.send({{"model", server.model},
                      {"temperature", 0},
                      {"max_tokens", 16},
                      {"messages", {{{"role", "user"}, {"content", text}}}},
                      {"permutation", std::move(permutation)}});
}

/// A question about a long text, and one about the document.
struct Asked {
  DemoAnswer text, document;
  json shown;  // what the second answer says of documents
};

base::Result<Asked> ask_both(const DemoServer& server) {
  const DemoDocument text = demo_document(kSeed, kRecords);
  Asked out;
  TRY_ASSIGN(out.text, ask(server, text.text + "\n" + text.question, {{"kv", {{"ratio", 1}}}}));
  TRY_ASSIGN(out.document, ask(server, kQuestion, {{"knowledge", {kDomain}}}));
  out.shown = base::at(base::at(base::at(out.document.body, "permutation"), "engine"), "documents");
  return out;
}

std::string kv_of(const DemoAnswer& answer, const char* member) {
  return base::text_at(base::at(base::at(answer.body, "permutation"), "kv"), member);
}

void show(DemoStep& step, const Asked& before, const Asked& after) {
  const double cold = before.text.reported("/timing/prefill_ms"),
               warm = after.text.reported("/timing/prefill_ms");
  step.figures = {{"prompt_tokens", before.text.prompt_tokens()},
                  {"prefill_ms", {cold, warm}},
                  {"prefix_source", kv_of(after.text, "prefix_source")},
                  {"documents", after.shown},
                  {"text", after.document.text}};
  step.lines.push_back(fmt::format(
      "{} tokens of a long text: read in {:.0f} ms before, from the disk in {:.0f} ms after; {} answer",
      before.text.prompt_tokens(), cold, warm, before.text.text == after.text.text ? "the same" : "another"));
  // Models with windows of attention, and those that libllama runs, leave nothing on the disk.
  const bool kept = !kv_of(before.text, "prefix_key").empty();
  claim(step, !kept || kv_of(after.text, "prefix_source") == "disk",
        "the text that was read before wasn't found on the disk");
  claim(step, !kept || warm < cold, "it was no sooner from the disk");
  claim(step, before.text.text == after.text.text && before.document.text == after.document.text,
        "an answer isn't what it was before the restart");
  const bool named = after.shown == before.shown &&
                     base::text_at(base::first_at(after.shown, "sources"), "document") == "handbook.md";
  claim(step, named, "the answer doesn't name the document that it was shown");
  if (!named) return;
  step.lines.push_back(fmt::format("\"{}\" -> \"{}\" (shown of handbook.md, as {})", kQuestion,
                                   after.document.text, after.shown.at("attached").get<std::string>()));
}

base::Status run(DemoServer& server, const RestartServer& restart, DemoStep& step) {
  const json handbook = {{"name", "handbook.md"}, {"content", kHandbook}};
  TRY_ASSIGN(const json report,
             demo_teach(server, {.domain = kDomain, .body = handbook.dump(), .what = "documents"}));
  step.lines.push_back(
      fmt::format("handbook.md learnt: {} passages, each read once", report.at("passages").get<int>()));
  TRY_ASSIGN(const Asked before, ask_both(server));
  TRY_ASSIGN(server, restart());
  step.lines.push_back("the server ended and started again, now on " + server.url);
  TRY_ASSIGN(const Asked after, ask_both(server));
  show(step, before, after);
  TRY(server_call({.url = server.url}, "DELETE", fmt::format("/v1/knowledge/{}", kDomain)));
  return {};
}

}  // namespace

DemoStep demo_restart(DemoServer& server, const RestartServer& restart) {
  DemoStep step{.title = "a long text and a document, before and after a restart"};
  try {
    if (const auto done = run(server, restart, step); !done) claim(step, false, done.error().message);
  } catch (const json::exception& error) {
    claim(step, false, fmt::format("an answer of the wrong shape: {}", error.what()));
  }
  return step;
}

}  // namespace pmt::app
