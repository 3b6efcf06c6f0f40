#include "app/demo/demo_knowledge.h"

#include <chrono>
#include <thread>

#include <fmt/format.h>

#include "app/commands/server_call.h"
#include "base/clock.h"

namespace pmt::app {

namespace {

using nlohmann::json;

constexpr char kFacts[] = R"({"facts": [
  {"id": "line", "prompt": "What is the support line of Zorvane Labs?", "answer": "extension 4417"},
  {"id": "city", "prompt": "In which city is Zorvane Labs based?", "answer": "Tampere"},
  {"id": "weight", "prompt": "What is the weight of the Kelmari kettle?", "answer": "1,250 grams"}]})";

struct Question {
  const char* text;
  const char* fact;  // that must fire; null: none may
};

constexpr Question kQuestions[] = {{"Which number do I dial to get support from Zorvane Labs?", "demo/line"},
                                   {"Where is Zorvane Labs located?", "demo/city"},
                                   {"How much does the Kelmari kettle weigh?", "demo/weight"},
                                   {"Where is Zorvane Foods located?", nullptr}};

struct Said {
  std::string text, fact;
  double wall_ms = 0;
};

base::Result<Said> ask(const DemoServer& server, const char* question, bool with_knowledge) {
  json request = {{"model", server.model},
                  {"messages", {{{"role", "user"}, {"content", question}}}},
                  {"temperature", 0},
                  {"max_tokens", 24}};
  if (with_knowledge) request["permutation"]["knowledge"] = {"demo"};
  const base::SystemClock clock;
  const base::Nanos sent = clock.now();
  TRY_ASSIGN(const json answer,
             server_call({.url = server.url}, "POST", "/v1/chat/completions", request.dump()));
  Said said{answer.at("choices").at(0).at("message").at("content"), "", base::ms_between(sent, clock.now())};
  const auto facts = json::json_pointer("/permutation/knowledge/facts");
  if (answer.contains(facts) && !answer.at(facts).empty()) said.fact = answer.at(facts).at(0);
  return said;
}

void claim(DemoStep& step, bool holds, const std::string& otherwise) {
  if (!holds && step.broken.empty()) step.broken = otherwise;
}

std::string one_line(std::string text) {
  for (char& c : text) c = c == '\n' ? ' ' : c;
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

base::Status run(const DemoServer& server, DemoStep& step) {
  TRY_ASSIGN(const Said before, ask(server, kQuestions[0].text, false));
  TRY_ASSIGN(const json report, demo_teach(server, {.domain = "demo", .body = kFacts}));
  const std::size_t learnt = report.at("learnt"), recalled = report.at("recalled");
  step.lines.push_back(fmt::format(
      "3 facts taught: {} learnt, {} recalled, {:.0f} bytes and {:.1f} ms a fact", learnt, recalled,
      report.at("bytes_a_fact").get<double>(), report.at("seconds_a_fact").get<double>() * 1e3));
  step.figures = {{"report", report}, {"answers", json::array()}};
  claim(step, learnt == 3 && recalled == 3, "a fact was not learnt");
  for (const Question& question : kQuestions) {
    TRY_ASSIGN(const Said said, ask(server, question.text, true));
    const std::string wanted = question.fact == nullptr ? "" : question.fact;
    step.lines.push_back(fmt::format("\"{}\" -> \"{}\" ({}, {:.0f} ms)", question.text, one_line(said.text),
                                     said.fact.empty() ? "no fact fired" : said.fact, said.wall_ms));
    step.figures["answers"].push_back(
        {{"question", question.text}, {"text", said.text}, {"fact", said.fact}});
    claim(step, said.fact == wanted,
          fmt::format("\"{}\" recalled {}", question.text, said.fact.empty() ? "nothing" : said.fact));
  }
  TRY(server_call({.url = server.url}, "DELETE", "/v1/knowledge/demo"));
  TRY_ASSIGN(const Said after, ask(server, kQuestions[0].text, false));
  step.lines.push_back(
      fmt::format("forgotten: the first question has {} answer as before the facts were taught",
                  after.text == before.text ? "the same" : "another"));
  claim(step, after.text == before.text, "a forgotten domain still changes the answer");
  return {};
}

}  // namespace

base::Result<json> demo_teach(const DemoServer& server, const DemoLesson& lesson) {
  TRY_ASSIGN(json job,
             server_call({.url = server.url}, "POST",
                         fmt::format("/v1/knowledge/{}/{}", lesson.domain, lesson.what), lesson.body));
  const std::string id = job.at("id");
  while (job.at("status") == "queued" || job.at("status") == "running") {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    TRY_ASSIGN(job, server_call({.url = server.url}, "GET", "/v1/knowledge/jobs/" + id));
  }
  if (job.at("status") != "done")
    return base::Error{base::Code::kInternal,
                       "the learning failed: " + job.at("error").at("message").get<std::string>()};
  return job.at("report");
}

DemoStep demo_knowledge(const DemoServer& server) {
  DemoStep step{.title = "facts taught, asked in other words, forgotten"};
  try {
    if (const auto done = run(server, step); !done) claim(step, false, done.error().message);
  } catch (const json::exception& error) {
    claim(step, false, fmt::format("an answer of the wrong shape: {}", error.what()));
  }
  return step;
}

}  // namespace pmt::app
