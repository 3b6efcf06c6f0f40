#include "model/testing/hostile.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <random>

#include "base/check.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::model::testing {
namespace {

constexpr std::array<std::uint64_t, 14> kNumbers{0,
                                                 1,
                                                 3,
                                                 31,
                                                 255,
                                                 65535,
                                                 0x7fffffff,
                                                 0x80000000,
                                                 0xffffffff,
                                                 0x100000001,
                                                 0x3fffffffffffffff,
                                                 0x7fffffffffffffff,
                                                 0x8000000000000000,
                                                 0xffffffffffffffff};

std::string read_and_show(Transformer& transformer, const Vocab& vocab) {
  auto pool = transformer.make_pool(std::size_t{4} << 20);
  if (!pool) return pool.error().message;
  auto tokens = vocab.tokenize("A lamp, 7 gr\xc3\xbcn\n", {.add_special = true, .parse_special = true});
  for (std::int32_t token = 0; token < std::min(vocab.size(), 1000); ++token) vocab.piece(token);
  kv_cache::SequenceKv sequence(**pool, transformer.hparams().kv_shape());
  BatchSpan span{&sequence, tokens, {static_cast<int>(tokens.size()) - 1}};
  const auto logits = transformer.forward(**pool, std::span(&span, 1));
  return logits ? "" : logits.error().message;
}

}  // namespace

FileBytes read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  FileBytes bytes(static_cast<std::size_t>(file.tellg()));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  CHECK(file.good());
  return bytes;
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  CHECK(file.good());
}

FileBytes damaged(FileBytes bytes, std::size_t header_bytes, std::uint32_t seed) {
  std::mt19937 rng(seed);
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : rng() % n; };
  for (std::size_t edits = 1 + below(4); edits > 0 && bytes.size() > 16; --edits) {
    const std::size_t end = below(8) == 0 ? bytes.size() : std::min(header_bytes, bytes.size());
    const std::size_t at = below(end - 8);
    const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(8)) {
      case 0:
        *place ^= static_cast<std::byte>(1U << below(8));
        break;
      case 1:
      case 2:
      case 3:
      case 4: {
        const std::uint64_t number = kNumbers[below(kNumbers.size())];
        std::memcpy(&*place, &number, below(2) == 0 ? 4 : 8);
        break;
      }
      case 5:
        *place = static_cast<std::byte>(below(256));
        break;
      case 6: {
        const auto count =
            static_cast<std::ptrdiff_t>(1 + below(std::min<std::size_t>(64, bytes.size() - at)));
        if (below(2) == 0) {
          bytes.erase(place, place + count);
        } else {
          const FileBytes run(place, place + count);
          bytes.insert(place, run.begin(), run.end());
        }
        break;
      }
      default:
        if (below(4) == 0) bytes.resize(16 + below(bytes.size() - 16));
    }
  }
  return bytes;
}

std::string try_load(const std::string& path) {
  auto transformer = Transformer::load(path, 1, {});
  if (!transformer) return transformer.error().message;
  auto vocab = Vocab::load(path);
  if (!vocab) return vocab.error().message;
  if ((*vocab)->size() != (*transformer)->hparams().vocabulary) return "the tokenizer is of another size";
  return read_and_show(**transformer, **vocab);
}

}  // namespace pmt::model::testing
