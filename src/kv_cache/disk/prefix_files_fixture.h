// What the tests of the files share: a folder, and chains of blocks whose pages can be told apart.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kv_cache/disk/prefix_files.h"

namespace pmt::kv_cache {

class PrefixFilesFixture : public testing::Test {
 protected:
  static constexpr std::size_t kPageBytes = 4000;
  static constexpr std::int64_t kFileBytes = BlockFile::kHeaderBytes + kPageBytes, kLots = 1 << 30;

  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() / fmt::format("permutation-prefixes-{}", getpid());
    std::filesystem::remove_all(path_);
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  std::unique_ptr<PrefixFiles> open(std::int64_t bytes_max = kLots, const std::string& secret = {}) {
    auto files =
        PrefixFiles::open({.path = path_.string(),
                           .bytes_max = bytes_max,
                           .secret = secret,
                           .on_warning = [this](const std::string& text) { warnings_.push_back(text); }},
                          clock_);
    EXPECT_TRUE(files) << files.error().message;
    return files ? std::move(*files) : nullptr;
  }
  static std::string name_of(const std::string& text, int block) { return fmt::format("{}/{}", text, block); }
  static std::vector<base::Digest> chain(const std::string& text, int blocks) {
    std::vector<base::Digest> out;
    for (int i = 0; i < blocks; ++i) out.push_back(base::sha256(name_of(text, i)));
    return out;
  }
  static std::string page_of(const base::Digest& key) {
    std::string out;
    while (out.size() < kPageBytes) out += key.hex();
    out.resize(kPageBytes);
    return out;
  }
  /// Blocks [first, end) of the chain `text`.
  std::vector<BlockToWrite> blocks(const std::string& text, int first, int end,
                                   const std::string& tenant = {}, double compute_ms = 50) {
    std::vector<BlockToWrite> out;
    for (int i = first; i < end; ++i) {
      const base::Digest key = base::sha256(name_of(text, i));
      pages_.push_back(page_of(key));
      const auto* bytes = reinterpret_cast<const std::byte*>(pages_.back().data());
      out.push_back({.info = {.key = key,
                              .parent = i == 0 ? base::Digest() : base::sha256(name_of(text, i - 1)),
                              .tokens = 64,
                              .compute_ms = compute_ms,
                              .written_unix_s = clock_.unix_seconds()},
                     .tenant = tenant,
                     .pages = {{bytes, kPageBytes}}});
    }
    return out;
  }
  void write(PrefixFiles& files, std::vector<BlockToWrite> what) {
    const auto ticket = files.submit(std::move(what), files.epoch());
    EXPECT_TRUE(files.wait(*ticket, std::chrono::seconds(60)));
  }
  /// How many of the chain's blocks come back, as they were.
  static int readable(PrefixFiles& files, const std::vector<base::Digest>& chain) {
    const std::size_t known = files.known(chain);
    std::string buffer;
    for (std::size_t i = 0; i < known; ++i) {
      BlockInfo info;
      const auto pages = files.read(chain[i], buffer, info);
      if (!pages) return static_cast<int>(i);
      EXPECT_EQ(std::string(reinterpret_cast<const char*>(pages->data()), pages->size()), page_of(chain[i]));
    }
    return static_cast<int>(known);
  }
  /// Of a block that was written.
  std::filesystem::path file_of(const base::Digest& key) const {
    for (const auto& each : found(key.hex())) {
      if (each.extension() == ".kv") return each;
    }
    return {};
  }
  std::vector<std::filesystem::path> found(const std::string& part) const {
    std::vector<std::filesystem::path> out;
    for (const auto& each : std::filesystem::recursive_directory_iterator(path_)) {
      if (each.is_regular_file() && each.path().filename().string().find(part) != std::string::npos)
        out.push_back(each.path());
    }
    return out;
  }

  std::filesystem::path path_;
  base::FakeClock clock_;
  std::list<std::string> pages_;
  std::vector<std::string> warnings_;
};

}  // namespace pmt::kv_cache
