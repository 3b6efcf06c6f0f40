// Asks a question about a long file; its keys and values take about an eighth of the memory.
//
//   long_file report.txt "What does the report recommend?" [CONFIG.toml]
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>
#include <permutation/permutation.hpp>

namespace {

int fail(const std::string& what) {
  std::cerr << "long_file: " << what << "\n";
  return 1;
}

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return fail("usage: long_file FILE QUESTION [CONFIG.toml]");
  const std::string text = text_of(argv[1]);
  if (text.empty()) return fail(std::string(argv[1]) + " is empty, or can't be read");
  auto engine = argc > 3 ? permutation::Engine::open_file(argv[3]) : permutation::Engine::open();
  if (!engine) return fail(engine.error().message);
  const nlohmann::json request{{"model", "permutation"},
                               {"stream", true},
                               {"stream_options", {{"include_usage", true}}},
                               {"temperature", 0},
                               {"max_tokens", 64},
                               {"messages", {{{"role", "user"}, {"content", text + "\n\n" + argv[2]}}}},
                               {"permutation", {{"kv", {{"ratio", 8}}}}}};
  auto events = engine->stream(request.dump());
  nlohmann::json last;
  for (const std::string_view event : events) {
    last = nlohmann::json::parse(event);
    for (const auto& choice : last["choices"])
      std::cout << choice["delta"].value("content", "") << std::flush;
  }
  std::cout << "\n";
  if (!events.ended()) return fail(events.error().message);
  if (last.contains("permutation") && last["permutation"].contains("kv"))
    std::cerr << "keys and values: " << last["permutation"]["kv"].dump() << "\n";
  return 0;
}
