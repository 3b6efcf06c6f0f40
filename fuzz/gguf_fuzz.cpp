// ./dev fuzz gguf [--seconds N] [--seed N]: loads damaged model files until the time is up.
//
// The file that is being loaded stands in fuzz-gguf.gguf in the working folder: after a crash it is the one
// to look at. PMT_PRESET=asan-ubsan finds more. Exit status 0: nothing crashed.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gguf.h>

#include "model/testing/hostile.h"
#include "model/testing/tiny_model.h"

namespace {

constexpr char kFile[] = "fuzz-gguf.gguf";

std::string load(std::span<const std::byte> bytes) {
  pmt::model::testing::write_file(kFile, bytes);
  return pmt::model::testing::try_load(kFile);
}

struct Seed {
  pmt::model::testing::FileBytes bytes;
  std::size_t header_bytes;
};

std::vector<Seed> seeds() {
  std::vector<Seed> out;
  for (const char* architecture : {"llama", "qwen2", "qwen3", "gemma3"}) {
    const pmt::model::testing::TinyModel model({.architecture = architecture, .tokenizer = true});
    gguf_context* gguf = gguf_init_from_file(model.path().c_str(), {.no_alloc = true, .ctx = nullptr});
    out.push_back({pmt::model::testing::read_file(model.path()), gguf_get_data_offset(gguf)});
    gguf_free(gguf);
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const char* configured = std::getenv("PMT_FUZZ_SECONDS");
  int seconds = configured != nullptr ? std::stoi(configured) : 60;
  std::uint32_t seed = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--seconds") seconds = std::stoi(argv[i + 1]);
    if (name == "--seed") seed = static_cast<std::uint32_t>(std::stoul(argv[i + 1]));
  }
  const auto models = seeds();
  int loads = 0;
  int refused = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  for (; std::chrono::steady_clock::now() < end; ++loads, ++seed) {
    const Seed& from = models[seed % models.size()];
    const std::string said = load(pmt::model::testing::damaged(from.bytes, from.header_bytes, seed));
    refused += said.empty() ? 0 : 1;
  }
  fmt::print("{} damaged files: {} refused with a reason, {} loaded, none ended the process\n", loads,
             refused, loads - refused);
  return 0;
}
