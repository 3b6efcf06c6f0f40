// Damaged and hostile model files: a clear error, never a crash (each load runs in a process of its own).
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string>

#include <fmt/format.h>
#include <gguf.h>
#include <gtest/gtest.h>

#include "model/gguf_preflight.h"
#include "model/testing/hostile.h"
#include "model/testing/tiny_family.h"
#include "model/testing/tiny_model.h"
#include "model/vocab.h"

namespace pmt::model {
namespace {

using testing::FileBytes;

constexpr int kSecondsMax = 60;  // of one process: a hang is a failure too

std::size_t header_bytes(const std::string& path) {
  gguf_context* gguf = gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr});
  const std::size_t bytes = gguf_get_data_offset(gguf);
  gguf_free(gguf);
  return bytes;
}

class HostileGguf : public ::testing::Test {
 protected:
  HostileGguf() : bytes_(testing::read_file(good_.path())), header_bytes_(header_bytes(good_.path())) {
    path_ = good_.path() + ".hostile";
  }
  ~HostileGguf() override { std::filesystem::remove(path_); }

  /// Where the name's first byte is, once; its length stands in the 8 bytes before.
  std::size_t find(const std::string& name) const {
    const auto* text = reinterpret_cast<const std::byte*>(name.data());
    const auto found = std::search(bytes_.begin(), bytes_.end(), text, text + name.size());
    return static_cast<std::size_t>(found - bytes_.begin());
  }
  template <class T>
  void put(std::size_t at, T value) {
    std::memcpy(bytes_.data() + at, &value, sizeof(value));
  }
  std::string load() {
    testing::write_file(path_, bytes_);
    return testing::try_load(path_);
  }

  testing::TinyModel good_{{.tokenizer = true}};
  FileBytes bytes_;
  std::size_t header_bytes_;
  std::string path_;
};

TEST_F(HostileGguf, TheUndamagedFileLoads) {
  EXPECT_EQ(load(), "");
  EXPECT_TRUE(check_gguf(path_));
}

TEST_F(HostileGguf, EachLieIsNamed) {
  // After a tensor's name: u32 dimensions, u64 each, u32 type, u64 offset.
  const std::string name = "blk.1.ffn_down.weight";
  const std::size_t tensor = find(name) + name.size();
  const std::size_t layers = find("llama.block_count") + std::strlen("llama.block_count") + 4;
  const FileBytes good = bytes_;
  struct Lie {
    std::function<void()> tell;
    std::string answer;
  };
  const Lie lies[] = {
      {[&] { bytes_[0] = std::byte{'X'}; }, "doesn't begin with the magic"},
      {[&] { put<std::uint32_t>(4, 77); }, "version is 77"},
      {[&] { put<std::uint64_t>(8, ~std::uint64_t{0}); }, "tensors and"},
      {[&] { put<std::uint64_t>(16, std::uint64_t{1} << 60); }, "keys"},
      {[&] { put<std::uint64_t>(24, std::uint64_t{1} << 63); }, "a key's name has"},
      {[&] { bytes_[tensor - 3] = std::byte{0}; }, "has a zero byte in its name"},
      {[&] { bytes_[find("llama.block_count") + 6] = std::byte{0}; }, "has a zero byte in its name"},
      {[&] { put<std::uint32_t>(tensor, 9); }, name + " has 9 dimensions"},
      {[&] { put<std::uint32_t>(tensor, 0); }, name + " has 0 dimensions"},
      {[&] { put<std::uint64_t>(tensor + 4, std::uint64_t{1} << 62); }, name + " has a dimension of"},
      {[&] { put<std::uint64_t>(tensor + 4, 0); }, name + " has a dimension of 0"},
      {[&] { put<std::uint64_t>(tensor + 12, 65); }, name},
      {[&] { put<std::uint32_t>(tensor + 20, 4000); }, name + " has the type 4000"},
      {[&] { put<std::uint32_t>(tensor + 20, 24); }, name + " has the type 24"},  // 8-bit integers
      {[&] { put<std::uint64_t>(tensor + 24, std::uint64_t{1} << 40); }, name + " lies at 1099511627776"},
      {[&] { put<std::uint64_t>(tensor + 24, 32); }, name + " lies at 32, not at"},  // over another
      {[&] { put<std::uint64_t>(tensor + 24, 3); }, name + " lies at 3"},
      {[&] { put<std::uint32_t>(layers, 0); }, "llama.block_count is 0"},
      {[&] { put<std::uint32_t>(layers, 100000); }, "llama.block_count is 100000"},
      {[&] { put<std::uint32_t>(layers, 3); }, "blk.2."},
      {[&] { bytes_.resize(bytes_.size() / 2); }, "truncated: tensor"},
      {[&] { bytes_.resize(header_bytes_ / 2); }, "more than the file can hold"},
      {[&] { bytes_.resize(100); }, "it ends in"},
      {[&] { bytes_.clear(); }, "it ends in its magic"},
  };
  for (const Lie& lie : lies) {
    bytes_ = good;
    lie.tell();
    const std::string said = load();
    EXPECT_NE(said.find(lie.answer), std::string::npos) << lie.answer << "\nsaid: " << said;
  }
}

/// libllama would look for a token that is the newline for ever.
TEST(HostileTokens, AVocabularyOfRwkvThatLacksAByteIsRefused) {
  const testing::TinyFamily file({.architecture = "rwkv6", .tokenizer = "rwkv"});
  const auto good = Vocab::load(file.path());
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ((*good)->tokenize("\n", {}), std::vector<std::int32_t>{3 + '\n'});
  FileBytes bytes = testing::read_file(file.path());
  const std::string newline = "\\x0a";
  const auto* text = reinterpret_cast<const std::byte*>(newline.data());
  const auto found = std::search(bytes.begin(), bytes.end(), text, text + newline.size());
  ASSERT_NE(found, bytes.end());
  found[3] = std::byte{'g'};
  testing::write_file(file.path(), bytes);
  const auto refused = Vocab::load(file.path());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("255 of 256 single bytes"), std::string::npos)
      << refused.error().message;
}

/// Loads seeds [first, last) and says in `at` which one it is at.
[[noreturn]] void load_all(const FileBytes& good, std::size_t header, const std::string& path,
                           std::uint32_t first, std::uint32_t last, volatile std::uint32_t* at) {
  alarm(kSecondsMax);
  for (std::uint32_t seed = first; seed < last; ++seed) {
    *at = seed;
    testing::write_file(path, testing::damaged(good, header, seed));
    testing::try_load(path);
  }
  std::_Exit(0);
}

TEST_F(HostileGguf, NoneOfManyDamagedFilesEndsTheProcess) {
  constexpr std::uint32_t kSeeds = 600;
  auto* at = static_cast<std::uint32_t*>(
      mmap(nullptr, sizeof(std::uint32_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  for (std::uint32_t first = 0; first < kSeeds;) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) load_all(bytes_, header_bytes_, path_, first, std::min(first + 50, kSeeds), at);
    int status = 0;
    waitpid(child, &status, 0);
    const bool ended = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    EXPECT_TRUE(ended) << "seed " << *at
                       << (WIFSIGNALED(status) ? fmt::format(": signal {}", WTERMSIG(status)) : ": exit");
    first = ended ? first + 50 : *at + 1;
  }
  munmap(at, sizeof(std::uint32_t));
}

}  // namespace
}  // namespace pmt::model
