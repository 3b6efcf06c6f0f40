#include "kv_cache/disk/block_file.h"

#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "kv_cache/disk/block_chain.h"

namespace pmt::kv_cache {
namespace {

const std::string kSecret(BlockFile::kSecretBytes, 'k');

class BlockFileTest : public testing::TestWithParam<std::string> {
 protected:
  BlockFileTest() {
    for (std::size_t i = 0; i < text_.size(); ++i) text_[i] = static_cast<char>('a' + i % 23);
    const auto* bytes = reinterpret_cast<const std::byte*>(text_.data());
    pages_ = {{bytes, 3000}, {bytes + 3000, 2000}};
    info_ = {.key = base::sha256("key"),
             .parent = base::sha256("parent"),
             .tokens = 64,
             .compute_ms = 12.5,
             .written_unix_s = 1'700'000'000};
    EXPECT_TRUE(file_.encode(info_, pages_, bytes_));
  }
  std::string pages_in(std::string bytes, const BlockFile& file, BlockInfo& info) {
    const auto pages = file.decode(bytes, info);
    if (!pages) return "";
    return {reinterpret_cast<const char*>(pages->data()), pages->size()};
  }

  const BlockFile file_{GetParam()};
  std::string text_ = std::string(5000, ' ');
  std::vector<std::span<const std::byte>> pages_;
  BlockInfo info_;
  std::string bytes_;
};

INSTANTIATE_TEST_SUITE_P(PlainAndEncrypted, BlockFileTest, testing::Values(std::string(), kSecret));

TEST_P(BlockFileTest, ComesBackAsItWas) {
  BlockInfo info;
  EXPECT_EQ(pages_in(bytes_, file_, info), text_);
  EXPECT_EQ(info.key, info_.key);
  EXPECT_EQ(info.parent, info_.parent);
  EXPECT_EQ(info.tokens, 64);
  EXPECT_EQ(info.compute_ms, 12.5);
  const auto header = file_.read_header(bytes_.substr(0, BlockFile::kHeaderBytes), bytes_.size());
  ASSERT_TRUE(header);
  EXPECT_EQ(header->written_unix_s, 1'700'000'000);
  EXPECT_EQ(bytes_.find(text_.substr(0, 40)) == std::string::npos, !GetParam().empty()) << "readable or not";
}

TEST_P(BlockFileTest, ABitThatFlippedIsSeen) {
  std::mt19937 rng(3);
  for (int round = 0; round < 500; ++round) {
    // The header as often as the pages, which are thirty times longer.
    const std::size_t at = rng() % (round % 2 == 0 ? BlockFile::kHeaderBytes : bytes_.size());
    std::string damaged = bytes_;
    damaged[at] = static_cast<char>(damaged[at] ^ 1 << rng() % 8);
    BlockInfo info;
    ASSERT_EQ(pages_in(damaged, file_, info), "") << "byte " << at;
  }
}

TEST_P(BlockFileTest, AnEndThatIsMissingIsSeen) {
  std::mt19937 rng(4);
  for (int round = 0; round < 100; ++round) {
    BlockInfo info;
    ASSERT_EQ(pages_in(bytes_.substr(0, rng() % bytes_.size()), file_, info), "");
  }
  BlockInfo info;
  EXPECT_EQ(pages_in(bytes_ + "x", file_, info), "");
}

TEST_P(BlockFileTest, AnotherKeyReadsNothing) {
  for (const std::string& secret : {std::string(), kSecret, std::string(BlockFile::kSecretBytes, 'q')}) {
    if (secret == GetParam()) continue;
    const BlockFile other(secret);
    std::string bytes = bytes_;
    BlockInfo info;
    const auto pages = other.decode(bytes, info);
    ASSERT_FALSE(pages);
    EXPECT_EQ(pages.error().code, base::Code::kForbidden);
    EXPECT_NE(other.name_secret(), file_.name_secret());
  }
}

TEST(BlockChain, ANameStandsForAllThatIsBefore) {
  std::vector<std::int32_t> tokens(200, 7);
  const base::Digest root = chain_root({}, "model", "acme");
  const auto chain = chain_of(root, tokens);
  ASSERT_EQ(chain.size(), 3U) << "whole blocks";
  EXPECT_NE(chain[0], chain[1]) << "equal tokens, another place";
  tokens[70] = 8;
  const auto parting = chain_of(root, tokens);
  EXPECT_EQ(parting[0], chain[0]);
  EXPECT_NE(parting[1], chain[1]);
  EXPECT_NE(parting[2], chain[2]);
  for (const auto& other : {chain_root({}, "model", "acm"), chain_root({}, "modela", "cme"),
                            chain_root(base::sha256("secret"), "model", "acme")})
    EXPECT_NE(other, root);
}

}  // namespace
}  // namespace pmt::kv_cache
