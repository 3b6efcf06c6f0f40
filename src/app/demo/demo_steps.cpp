#include "app/demo/demo_steps.h"

#include <algorithm>
#include <functional>
#include <sstream>

#include <fmt/format.h>

#include "app/commands/audit_view.h"
#include "app/commands/text_table.h"
#include "app/demo/demo_client.h"
#include "app/demo/demo_document.h"
#include "kernels/page_layout.h"

namespace pmt::app {

namespace {

using nlohmann::json;

constexpr int kAtOnce = 32;
constexpr char kFirstQuestion[] = "What is gravity?";
constexpr char kParaphrase[] = "Can you tell me what gravity is?";
constexpr char kOtherQuestion[] = "What is magnetism?";
constexpr char kSecondQuestion[] = "What is photosynthesis?";
constexpr int kDocumentRecords = 80;
constexpr std::uint32_t kDocumentSeed = 20;
constexpr std::int64_t kDocumentTokensMin = 1500;

/// One line of at most `width` characters.
std::string shortened(std::string text, std::size_t width = 96) {
  std::ranges::replace(text, '\n', ' ');
  if (text.size() <= width) return text;
  text.resize(width);
  while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0x80U) != 0)
    text.pop_back();  // no half character
  return text + "...";
}

double per_second(std::int64_t count, double ms) {
  return ms > 0 ? static_cast<double>(count) * 1000 / ms : 0;
}

/// Keeps the first broken claim.
void claim(DemoStep& step, bool holds, const std::string& otherwise) {
  if (!holds && step.broken.empty()) step.broken = otherwise;
}

/// Runs a step's body: an error, or an answer of another shape than the API's, breaks the step.
void attempt(DemoStep& step, const std::function<base::Status()>& body) {
  try {
    if (const auto done = body(); !done) claim(step, false, done.error().message);
  } catch (const json::exception& error) {
    claim(step, false, fmt::format("an answer of the wrong shape: {}", error.what()));
  }
}

/// Whose answer may serve a question in other words, when one in twenty may be wrong.
json semantic_question(const DemoServer& server, const std::string& question) {
  return {{"model", server.model},
          {"messages", {{{"role", "user"}, {"content", question}}}},
          {"temperature", 0},
          {"max_tokens", 64},
          {"permutation", {{"kv", {{"ratio", 1}}}, {"cache", {{"semantic", {{"error_max", 0.05}}}}}}}};
}

void show_first(DemoStep& step, const DemoAnswer& answer) {
  const double decode_ms = answer.reported("/timing/decode_ms");
  const double speed =
      per_second(answer.completion_tokens() - 1, decode_ms);  // the first one ends the prefill
  step.figures = {{"cache", answer.cache},
                  {"wall_ms", answer.wall_ms},
                  {"prompt_tokens", answer.prompt_tokens()},
                  {"completion_tokens", answer.completion_tokens()},
                  {"decode_tokens_per_s", speed},
                  {"text", answer.text}};
  step.lines = {fmt::format("{}: {:.1f} ms for {} prompt and {} new tokens ({:.1f} tokens/s)", answer.cache,
                            answer.wall_ms, answer.prompt_tokens(), answer.completion_tokens(), speed),
                fmt::format("\"{}\"", shortened(answer.text))};
  claim(step, answer.cache == "miss", "expected a miss, the cache said " + answer.cache);
  claim(step, answer.completion_tokens() > 0 && !answer.text.empty(), "the answer is empty");
}

void show_second(DemoStep& step, const DemoAnswer& first, const DemoAnswer& second) {
  const double speed_up = first.wall_ms / second.wall_ms;
  const double saved = second.reported("/cache/tokens_saved");
  step.figures = {{"cache", second.cache},
                  {"wall_ms", second.wall_ms},
                  {"speed_up", speed_up},
                  {"tokens_saved", saved},
                  {"same_text", first.text == second.text}};
  step.lines = {fmt::format("{}: {:.2f} ms, {:.0f} times as fast; {:.0f} tokens not computed again; {} text",
                            second.cache, second.wall_ms, speed_up, saved,
                            first.text == second.text ? "the same" : "another")};
  claim(step, second.cache == "hit", "expected a hit, the cache said " + second.cache);
  claim(step, first.text == second.text, "the hit's text differs from what was computed");
  claim(step, speed_up > 1, "the hit was no faster than the computation");
  claim(step, saved > 0, "the hit saved no tokens");
}

/// What the counters said before or after step 3.
struct Counters {
  std::int64_t computations = 0, coalesced = 0;
};

base::Result<Counters> read_counters(DemoClient& client, const std::string& model) {
  TRY_ASSIGN(const json cache, client.get("/v1/cache"));
  TRY_ASSIGN(const json kv, client.get("/v1/kv"));
  Counters counters{.computations = 0, .coalesced = cache.at("hits").at("coalesced")};
  for (const json& pool : kv.at("models")) {
    if (pool.at("model") == model) counters.computations = pool.at("engine").at("requests");
  }
  return counters;
}

void show_crowd(DemoStep& step, const Crowd& crowd, const Counters& before, const Counters& after) {
  const auto count = [&](std::string_view status) {
    return std::ranges::count(crowd.answers, status, &DemoAnswer::cache);
  };
  const bool same =
      std::ranges::all_of(crowd.answers, [&](const auto& a) { return a.text == crowd.answers[0].text; });
  const std::int64_t computed = after.computations - before.computations;
  step.figures = {{"asked", crowd.answers.size()},
                  {"computations", computed},
                  {"wall_ms", crowd.wall_ms},
                  {"miss", count("miss")},
                  {"hit", count("hit")},
                  {"coalesced", count("coalesced")},
                  {"same_text", same}};
  step.lines = {
      fmt::format("{} computation for {} answers ({} coalesced, {} hits), all in {:.1f} ms; {} text",
                  computed, crowd.answers.size(), count("coalesced"), count("hit"), crowd.wall_ms,
                  same ? "the same" : "different"),
      fmt::format("\"{}\"", shortened(crowd.answers[0].text))};
  claim(step, computed == 1, fmt::format("expected one computation, the engine counted {}", computed));
  claim(step, count("miss") == 1, fmt::format("expected one miss, got {}", count("miss")));
  claim(step, count("miss") + count("hit") + count("coalesced") == kAtOnce,
        "an answer was neither shared nor cached");
  claim(step, after.coalesced - before.coalesced == count("coalesced"),
        "the cache's counter and the answers disagree about how many were coalesced");
  claim(step, same, "the answers differ");
}

std::string trace_line(const json& answer) {
  std::string line = "trace:";
  const auto steps = json::json_pointer("/permutation/engine/trace/steps");
  for (const json& step : answer.contains(steps) ? answer.at(steps) : json::array()) {
    const std::string status = step.at("status");
    line += fmt::format(
        " {} {}", step.at("component").get<std::string>(),
        status == "success" ? fmt::format("{:.2f} ms", step.at("duration_ms").get<double>()) : status);
    line += ",";
  }
  if (line.back() == ',') line.pop_back();
  return line;
}

void show_document(DemoStep& step, const DemoDocument& document, const DemoAnswer& answer) {
  const double prefill_ms = answer.reported("/timing/prefill_ms");
  const double kv_bytes = answer.reported("/kv/bytes");
  const bool found = answer.text.find(document.answer) != std::string::npos;
  const auto trace = json::json_pointer("/permutation/engine/trace");
  const bool traced = answer.body.contains(trace) && !answer.body.at(trace).at("steps").empty();
  step.figures = {{"model", answer.body.at("model")},
                  {"prompt_tokens", answer.prompt_tokens()},
                  {"completion_tokens", answer.completion_tokens()},
                  {"prefill_ms", prefill_ms},
                  {"prefill_tokens_per_s", per_second(answer.prompt_tokens(), prefill_ms)},
                  {"kv_bytes", kv_bytes},
                  {"wall_ms", answer.wall_ms},
                  {"planted", document.answer},
                  {"text", answer.text},
                  {"found", found},
                  {"trace", traced ? answer.body.at(trace) : json()}};
  step.lines = {fmt::format("{} prompt tokens read in {:.0f} ms ({:.0f} tokens/s); exact KV cache: {}",
                            answer.prompt_tokens(), prefill_ms,
                            per_second(answer.prompt_tokens(), prefill_ms), human_bytes(kv_bytes)),
                fmt::format("planted {}, answered \"{}\": {}", document.answer, shortened(answer.text, 48),
                            found ? "found" : "not found (a small model's reading, not checked)"),
                trace_line(answer.body)};
  claim(step, answer.prompt_tokens() >= kDocumentTokensMin, "the document is shorter than it claims");
  claim(step, prefill_ms > 0 && kv_bytes > 0, "the answer reports no prefill time or no KV bytes");
  claim(step, traced, "the engine returned no trace");
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

}  // namespace

std::vector<DemoStep> demo_miss_then_hit(const DemoServer& server) {
  DemoStep first{.title = "a new question"};
  DemoStep second{.title = "the same again"};
  DemoAnswer computed;
  attempt(first, [&]() -> base::Status {
    TRY_ASSIGN(DemoClient client, DemoClient::connect(server.url));
    TRY_ASSIGN(computed, client.send(semantic_question(server, kFirstQuestion)));
    show_first(first, computed);
    return {};
  });
  attempt(second, [&]() -> base::Status {
    TRY_ASSIGN(DemoClient client, DemoClient::connect(server.url));
    TRY_ASSIGN(const DemoAnswer answer, client.send(semantic_question(server, kFirstQuestion)));
    show_second(second, computed, answer);
    return {};
  });
  return {first, second};
}

DemoStep demo_paraphrase(const DemoServer& server) {
  DemoStep step{.title = "the first question in other words"};
  attempt(step, [&]() -> base::Status {
    TRY_ASSIGN(DemoClient client, DemoClient::connect(server.url));
    step.figures = json::array();
    for (const bool same : {true, false}) {
      const char* const question = same ? kParaphrase : kOtherQuestion;
      TRY_ASSIGN(const DemoAnswer answer, client.send(semantic_question(server, question)));
      const json& cache = answer.body.at("permutation").at("cache");
      const std::string status = cache.at("status");
      step.figures.push_back({{"question", question}, {"cache", cache}, {"wall_ms", answer.wall_ms}});
      step.lines.push_back(
          fmt::format("\"{}\": {}{}, {:.1f} ms", question, status,
                      cache.contains("similarity")
                          ? fmt::format(" (similarity {:.2f})", cache.at("similarity").get<double>())
                          : "",
                      answer.wall_ms));
      const std::string why = cache.contains("why") ? cache.at("why").get<std::string>() : "";
      if (!why.empty()) step.lines.push_back("  " + why);
      // Two in a hundred that could be served are computed all the same, to see that they are right.
      const bool as_claimed =
          same ? status == "semantic_hit" || why.find("explored") != std::string::npos : status == "miss";
      claim(step, as_claimed, fmt::format("\"{}\" was a {}: {}", question, status, why));
    }
    return {};
  });
  return step;
}

DemoStep demo_many_at_once(const DemoServer& server) {
  DemoStep step{.title = fmt::format("a new question, {} times at once", kAtOnce)};
  attempt(step, [&]() -> base::Status {
    TRY_ASSIGN(DemoClient client, DemoClient::connect(server.url));
    TRY_ASSIGN(const Counters before, read_counters(client, server.model));
    TRY_ASSIGN(const Crowd crowd, ask_at_once(server.url, server.model, kSecondQuestion, 48, kAtOnce));
    TRY_ASSIGN(const Counters after, read_counters(client, server.model));
    show_crowd(step, crowd, before, after);
    return {};
  });
  return step;
}

DemoStep demo_long_document(const DemoServer& server) {
  DemoStep step{.title = "a long document, asked through `permutation`"};
  const DemoDocument document = demo_document(kDocumentSeed, kDocumentRecords);
  attempt(step, [&]() -> base::Status {
    TRY_ASSIGN(DemoClient client, DemoClient::connect(server.url));
    TRY_ASSIGN(const DemoAnswer answer,
               client.ask("permutation", document.text + "\n" + document.question, 32));
    show_document(step, document, answer);
    TRY_ASSIGN(const DemoAnswer other,
               client.ask("permutation", document.text + "\nWhich river is this ledger about?", 16));
    const double reused = other.reported("/kv/prefix_tokens_reused");
    step.figures["another_question"] = {{"prefix_tokens_reused", reused},
                                        {"prefill_ms", other.reported("/timing/prefill_ms")},
                                        {"text", other.text}};
    step.lines.push_back(
        fmt::format("another question about it: {:.0f} of {} tokens reused, the rest read in {:.0f} ms",
                    reused, other.prompt_tokens(), other.reported("/timing/prefill_ms")));
    claim(step, reused > kDocumentTokensMin / 2.0, "the document was read again");
    return {};
  });
  return step;
}

DemoStep demo_compression(const DemoServer& server) {
  DemoStep step{.title = "the long document again: keys and values at 1x, 8x and 64x"};
  const DemoDocument document = demo_document(kDocumentSeed + 1, kDocumentRecords);
  attempt(step, [&]() -> base::Status {
    TRY_ASSIGN(DemoClient client, DemoClient::connect(server.url));
    step.figures = json::array();
    step.lines = {fmt::format("{:>5}  {:>10}  {:>9}  {:>8}  {:>9}  {}", "asked", "KV memory", "achieved",
                              "kept", "tokens/s", "answer")};
    double exact_bytes = 0;
    for (const double ratio : {1.0, 8.0, 64.0}) {
      // Without drafts: how many are accepted depends on the words, and the three are to differ in memory
      // only.
      TRY_ASSIGN(const DemoAnswer answer,
                 client.ask(server.model, document.text + "\n" + document.question, 32, ratio, "off"));
      const double bytes = answer.reported("/kv/bytes");
      const double rate = per_second(answer.completion_tokens() - 1, answer.reported("/timing/decode_ms"));
      const double kept = answer.reported("/kv/tokens_kept") / answer.reported("/kv/tokens_total");
      const bool found = answer.text.find(document.answer) != std::string::npos;
      step.figures.push_back({{"ratio", ratio},
                              {"kv", answer.body.at("permutation").at("kv")},
                              {"tokens_per_s", rate},
                              {"planted", document.answer},
                              {"text", answer.text},
                              {"found", found}});
      step.lines.push_back(fmt::format("{:>4}x  {:>10}  {:>8.1f}x  {:>7.0f}%  {:>9.0f}  {}: \"{}\"", ratio,
                                       human_bytes(bytes), answer.reported("/kv/ratio_achieved"), 100 * kept,
                                       rate, found ? "found" : "not found", shortened(answer.text, 60)));
      if (ratio == 1) exact_bytes = bytes;
      // Its share, and up to two exact pages a head for the prompt's ends and the answer (note 0009).
      const double tokens = answer.reported("/kv/tokens_total");
      const double ends = exact_bytes / tokens * 2 * kernels::kPageTokens;
      claim(step, ratio == 1 || bytes < exact_bytes / ratio * 1.2 + ends,
            "the pool held more than the ratio allows");
    }
    return {};
  });
  return step;
}

DemoStep demo_audit(const DemoServer& server) {
  DemoStep step{.title = "the audit: which cache is used where"};
  attempt(step, [&]() -> base::Status {
    TRY_ASSIGN(DemoClient client, DemoClient::connect(server.url));
    TRY_ASSIGN(step.figures, client.get("/v1/audit"));
    TRY_ASSIGN(const audit::Audit audit, audit_from_json(step.figures));
    step.lines = lines_of(audit::to_text(audit));
    const auto cache = std::ranges::find(audit.rows, "response cache", &audit::RowResult::name);
    const auto completions = static_cast<std::size_t>(base::Surface::kCompletions);
    claim(step, cache != audit.rows.end() && cache->implemented == "yes",
          "the response cache's self-test failed");
    claim(step, cache != audit.rows.end() && cache->cells[completions].count >= kAtOnce,
          "the audit did not count the hits of the steps before");
    return {};
  });
  return step;
}

}  // namespace pmt::app
