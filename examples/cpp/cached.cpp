// Runs a command that costs time or money, once: what it printed is kept on the disk, and given again.
//
//   cached curl -s https://api.example.org/dear-question
//   cached --ttl 3600 ./simulate --case 17
//
// A command that fails is not kept. The folder is $CACHED_FOLDER, else ~/.cache/cached.
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <permutation/permutation.hpp>

namespace {

std::string folder() {
  if (const char* const named = std::getenv("CACHED_FOLDER")) return named;
  const char* const home = std::getenv("HOME");
  return std::string(home == nullptr ? "/tmp" : home) + "/.cache/cached";
}

/// So that a shell takes it as one word.
std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

struct Ran {
  std::string printed;
  int status = 0;
};

Ran run(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += quoted(word) + " ";
  FILE* const pipe = popen(line.c_str(), "r");
  if (pipe == nullptr) return {"", 127};
  Ran ran;
  char piece[4096];
  for (std::size_t n = 0; (n = std::fread(piece, 1, sizeof piece, pipe)) > 0;) ran.printed.append(piece, n);
  const int status = pclose(pipe);
  ran.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return ran;
}

int fail(const permutation::Error& error) {
  std::cerr << "cached: " << error.message << "\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  permutation::StoreOptions options;
  if (words.size() > 2 && words[0] == "--ttl") {
    options.ttl_s = std::atof(words[1].c_str());
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.empty()) {
    std::cerr << "usage: cached [--ttl SECONDS] COMMAND [ARGUMENTS]\n";
    return 2;
  }
  // TOML's strings are written as JSON's.
  auto cache = permutation::Cache::open("[cache]\npath = " + nlohmann::json(folder()).dump() + "\n");
  if (!cache) return fail(cache.error());
  const permutation::Key key = permutation::key_of(nlohmann::json(words).dump());
  if (const auto found = cache->get(key)) {
    std::cout << found->value.view();
    return 0;
  }
  const auto begun = std::chrono::steady_clock::now();
  const Ran ran = run(words);
  std::cout << ran.printed;
  if (ran.status != 0) return ran.status;
  options.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  const auto stored = cache->store(key, ran.printed, options);
  return stored ? 0 : fail(stored.error());
}
