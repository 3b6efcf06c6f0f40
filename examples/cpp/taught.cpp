// Teaches the model facts of a file, asks one question, forgets them, and says which cache was used where.
//
//   taught facts.jsonl "Which number do I dial for support at Zorvane Labs?" [CONFIG.toml]
//
// facts.jsonl: {"prompt": "...", "answer": "...", "paraphrases": ["..."]}, one a line.
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>
#include <permutation/permutation.hpp>

namespace {

constexpr char kDomain[] = "taught";

int fail(const std::string& what) {
  std::cerr << "taught: " << what << "\n";
  return 1;
}

int ask(const permutation::Engine& engine, const std::string& question) {
  nlohmann::json request{{"temperature", 0},
                         {"max_tokens", 48},
                         {"messages", {{{"role", "user"}, {"content", question}}}},
                         {"permutation", {{"knowledge", {kDomain}}}}};
  auto taught = engine.knowledge();
  if (!taught) return fail(taught.error().message);
  request["model"] = nlohmann::json::parse(taught->view())["model"];
  auto answer = engine.complete(request.dump());
  if (!answer) return fail(answer.error().message);
  std::cout << nlohmann::json::parse(answer->view())["choices"][0]["message"]["content"].get<std::string>()
            << "\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return fail("usage: taught FACTS.jsonl QUESTION [CONFIG.toml]");
  std::ostringstream facts;
  facts << std::ifstream(argv[1]).rdbuf();
  auto engine = argc > 3 ? permutation::Engine::open_file(argv[3]) : permutation::Engine::open();
  if (!engine) return fail(engine.error().message);
  const auto report = engine->learn(kDomain, facts.str());
  if (!report) return fail(report.error().message);
  const int code = ask(*engine, argv[2]);
  const auto forgotten = engine->forget(kDomain);
  if (!forgotten) return fail(forgotten.error().message);
  auto audit = engine->audit();
  if (audit) std::cerr << audit->view() << "\n";
  return code;
}
