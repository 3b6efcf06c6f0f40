// Where there is no libFuzzer: runs the target over the files of the folders given, and over some thousand
// seeded mutations of each (bytes changed, cut, doubled, spliced).
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void run(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

std::string mutated(std::string text, const std::vector<std::string>& seeds, std::mt19937& random) {
  const auto below = [&random](std::size_t n) { return n == 0 ? 0 : random() % n; };
  for (std::size_t i = 1 + below(4); i > 0; --i) {
    const std::size_t at = below(text.size() + 1);
    switch (below(5)) {
      case 0:
        if (at < text.size()) text[at] = static_cast<char>(random());
        break;
      case 1:
        text.erase(at, below(16));
        break;
      case 2:
        text.insert(at, text.substr(below(text.size()), below(64)));
        break;
      case 3:
        text.insert(at, 1, static_cast<char>(random()));
        break;
      default: {
        const std::string& other = seeds[below(seeds.size())];
        text = text.substr(0, at) + other.substr(below(other.size()));
      }
    }
  }
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int kMutations = 2000;
  std::vector<std::string> seeds;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream in(entry.path(), std::ios::binary);
      seeds.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
  }
  if (seeds.empty()) {
    std::fprintf(stderr, "no seeds: name a folder that has some\n");
    return 1;
  }
  std::mt19937 random(1);
  for (const std::string& seed : seeds) {
    run(seed);
    for (int i = 0; i < kMutations; ++i) run(mutated(seed, seeds, random));
  }
  std::printf("%zu seeds, %d mutations each\n", seeds.size(), kMutations);
  return 0;
}
