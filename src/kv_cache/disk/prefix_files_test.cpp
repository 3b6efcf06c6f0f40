#include "kv_cache/disk/prefix_files.h"

#include <signal.h>
#include <sys/resource.h>

#include <fstream>
#include <random>

#include <gmock/gmock.h>

#include "kv_cache/disk/prefix_files_fixture.h"

namespace pmt::kv_cache {
namespace {

using testing::HasSubstr;

class PrefixFilesTest : public PrefixFilesFixture {};

TEST_F(PrefixFilesTest, WhatWasWrittenIsThereAfterARestart) {
  {
    const auto files = open();
    write(*files, blocks("a", 0, 5));
    EXPECT_EQ(files->known(chain("a", 9)), 5U);
    EXPECT_EQ(files->stats().entries, 5);
  }
  const auto files = open();
  EXPECT_EQ(readable(*files, chain("a", 9)), 5);
  EXPECT_EQ(readable(*files, chain("b", 9)), 0);
  EXPECT_EQ(files->stats().bytes, 5 * kFileBytes);
  EXPECT_EQ(files->stats().reads, 5U);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(PrefixFilesTest, AFolderServesOneServer) {
  const auto files = open();
  const auto second = PrefixFiles::open({.path = path_.string(), .bytes_max = kLots}, clock_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, base::Code::kUnavailable);
  EXPECT_THAT(second.error().message, HasSubstr("another server uses"));
}

TEST_F(PrefixFilesTest, WhatIsWorthLeastGoesAndNeverTheBeginningBeforeTheEnd) {
  const auto files = open(12 * kFileBytes + kFileBytes / 2);
  write(*files, blocks("cheap", 0, 4, "", 5));
  write(*files, blocks("used", 0, 4));
  ASSERT_EQ(readable(*files, chain("used", 4)), 4);
  std::mt19937 rng(5);
  for (int text = 0; text < 20; ++text) {
    clock_.advance(std::chrono::seconds(1));
    write(*files, blocks("new " + std::to_string(text), 0, 1 + static_cast<int>(rng() % 3), "", 5));
    ASSERT_LE(files->stats().bytes, files->stats().bytes_max);
    ASSERT_EQ(static_cast<std::int64_t>(found(".kv").size()), files->stats().entries);
    if (text == 6) {
      EXPECT_LT(files->known(chain("cheap", 4)), 4U);
      for (int i = 1; i < 4; ++i)
        EXPECT_TRUE(files->expects(chain("cheap", 4)[static_cast<std::size_t>(i - 1)]) ||
                    !files->expects(chain("cheap", 4)[static_cast<std::size_t>(i)]));
    }
  }
  EXPECT_EQ(files->known(chain("used", 4)), 4U) << "ten times the computing, and used";
  EXPECT_GT(files->stats().evicted, 10U);
}

TEST_F(PrefixFilesTest, OfATextThatIsTooLongTheBeginningStays) {
  const auto files = open(12 * kFileBytes);
  write(*files, blocks("before", 0, 5));
  for (int text = 0; text < 20; ++text) {
    clock_.advance(std::chrono::seconds(1));
    const std::string name = "far too long " + std::to_string(text);
    write(*files, blocks(name, 0, 40));
    EXPECT_LE(files->stats().bytes, files->stats().bytes_max);
    EXPECT_EQ(readable(*files, chain(name, 40)), 12);
    EXPECT_EQ(files->stats().entries, 12) << "none that can't be reached";
    EXPECT_EQ(files->stats().dropped, 28U * static_cast<unsigned>(text + 1));
  }
}

TEST_F(PrefixFilesTest, ADamagedFileIsSetAsideAndWrittenAnew) {
  std::mt19937 rng(6);
  for (int round = 0; round < 8; ++round) {
    const auto files = open();
    write(*files, blocks("a", 0, 6));
    ASSERT_EQ(readable(*files, chain("a", 6)), 6);
    const auto victim = file_of(chain("a", 6)[3]);
    if (round % 2 == 0) {
      std::filesystem::resize_file(victim, rng() % static_cast<std::uint64_t>(kFileBytes));
    } else {
      std::fstream file(victim, std::ios::in | std::ios::out | std::ios::binary);
      const auto at = static_cast<std::streamoff>(rng() % static_cast<std::uint64_t>(kFileBytes));
      file.seekg(at);
      const int byte = file.get();
      file.seekp(at);
      file.put(static_cast<char>(byte ^ 0x10));
    }
    ASSERT_EQ(readable(*files, chain("a", 6)), 3) << "round " << round;
    EXPECT_EQ(files->known(chain("a", 6)), 3U);
    EXPECT_EQ(files->stats().damaged, 1U);
    ASSERT_EQ(warnings_.size(), static_cast<std::size_t>(round + 1));
    write(*files, blocks("a", 3, 4));
    EXPECT_EQ(readable(*files, chain("a", 6)), 6) << "what went on from it is there again";
    ASSERT_LE(found(".damaged-").size(), static_cast<std::size_t>(PrefixFiles::kAsideMax));
  }
  EXPECT_EQ(found(".damaged-").size(), static_cast<std::size_t>(PrefixFiles::kAsideMax));
}

TEST_F(PrefixFilesTest, DamageIsFoundAtTheStartToo) {
  write(*open(), blocks("a", 0, 3));
  std::filesystem::resize_file(file_of(chain("a", 3)[1]), 20);
  std::ofstream(file_of(chain("a", 3)[0]).string() + ".77.partial") << "half";
  const auto files = open();
  EXPECT_EQ(readable(*files, chain("a", 3)), 1);
  EXPECT_EQ(files->stats().damaged, 1U);
  EXPECT_EQ(found(".damaged-").size(), 1U);
  EXPECT_TRUE(found(".partial").empty());
}

TEST_F(PrefixFilesTest, AFileUnderAnotherNameIsNotTaken) {
  const auto files = open();
  write(*files, blocks("a", 0, 2));
  const auto chain_a = chain("a", 2);
  std::filesystem::copy_file(file_of(chain_a[1]), file_of(chain_a[0]),
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(readable(*files, chain_a), 0);
  EXPECT_EQ(files->stats().damaged, 1U);
}

TEST_F(PrefixFilesTest, AWipeTakesATenantsOrAPromptsOrAll) {
  const auto files = open();
  write(*files, blocks("a", 0, 3, "ann"));
  write(*files, blocks("b", 0, 3, "bob"));
  write(*files, blocks("c", 0, 2, "bob"));
  EXPECT_EQ(files->wipe({.tenant = "carl"}), 0U);
  EXPECT_EQ(files->wipe({.tenant = "bob"}), 5U);
  EXPECT_EQ(files->known(chain("a", 3)), 3U);
  EXPECT_EQ(files->known(chain("b", 3)), 0U);
  EXPECT_EQ(found(".kv").size(), 3U);

  // A prompt that parts from another at its second block: what only led to it goes, and what goes on from it.
  auto branch = blocks("branch", 1, 3, "ann");
  branch[0].info.parent = chain("a", 1)[0];
  write(*files, std::move(branch));
  const std::string named = base::sha256(name_of("branch", 1)).hex();
  EXPECT_EQ(files->wipe({.tenant = "bob", .key_prefix = named}), 0U) << "another's";
  EXPECT_EQ(files->wipe({.key_prefix = named.substr(0, 20)}), 2U);
  EXPECT_EQ(files->known(chain("a", 3)), 3U) << "the beginning is another prompt's too";
  EXPECT_EQ(files->wipe({.tenant = "ann", .key_prefix = chain("a", 3)[2].hex()}), 3U);
  EXPECT_EQ(files->stats().entries, 0);

  write(*files, blocks("d", 0, 2, "dan"));
  std::filesystem::resize_file(file_of(chain("d", 1)[0]), 9);
  EXPECT_EQ(readable(*files, chain("d", 2)), 0);
  ASSERT_EQ(found(".damaged-").size(), 1U);
  EXPECT_EQ(files->wipe({}), 1U);
  EXPECT_TRUE(found("kv").empty()) << "what was set aside goes, too";
  EXPECT_EQ(files->stats().bytes, 0);
}

TEST_F(PrefixFilesTest, WhatWasReadBeforeAWipeIsNotWrittenAfterIt) {
  const auto files = open();
  const std::uint64_t before = files->epoch();
  files->wipe({});
  const auto ticket = files->submit(blocks("a", 0, 3), before);
  EXPECT_TRUE(ticket->done());
  EXPECT_EQ(files->known(chain("a", 3)), 0U);
  write(*files, blocks("a", 0, 3));
  EXPECT_EQ(files->known(chain("a", 3)), 3U);
}

TEST_F(PrefixFilesTest, ACancelledTicketLeavesItsPagesAlone) {
  const auto files = open();
  for (int round = 0; round < 20; ++round) {
    const auto ticket = files->submit(blocks(std::to_string(round), 0, 50), files->epoch());
    files->cancel(*ticket);
    ASSERT_TRUE(ticket->done());
    pages_.clear();  // under ASan: nobody reads them any more
  }
  EXPECT_GT(files->stats().dropped, 0U);
}

TEST_F(PrefixFilesTest, AnotherKeyFindsNothingAndItsBlocksGoFirst) {
  const std::string secret(BlockFile::kSecretBytes, 's');
  write(*open(kLots, secret), blocks("a", 0, 3));
  for (const std::string& other : {std::string(), std::string(BlockFile::kSecretBytes, 'x')}) {
    const auto files = open(kLots, other);
    EXPECT_EQ(files->known(chain("a", 3)), 0U);
    EXPECT_EQ(files->stats().bytes, 3 * kFileBytes) << "they count";
  }
  EXPECT_EQ(readable(*open(kLots, secret), chain("a", 3)), 3);
  const auto files = open(4 * kFileBytes + kFileBytes / 2, "");
  write(*files, blocks("b", 0, 4));
  EXPECT_EQ(readable(*files, chain("b", 4)), 4);
  EXPECT_TRUE(warnings_.empty());
}

/// As where the disk is full: the kernel refuses to let a file grow.
TEST_F(PrefixFilesTest, ADiskThatTakesNothingCostsOnlyWhatWouldBeKept) {
  const auto files = open();
  write(*files, blocks("a", 0, 1));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 1000, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  write(*files, blocks("a", 1, 3));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_EQ(files->stats().failures, 1U);
  EXPECT_EQ(files->stats().dropped, 1U) << "what waited behind it";
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_TRUE(found(".partial").empty());
  write(*files, blocks("a", 1, 3));
  EXPECT_EQ(files->known(chain("a", 3)), 1U) << "not tried at once";
  clock_.advance(PrefixFiles::kAfterFailure);
  write(*files, blocks("a", 1, 3));
  signal(SIGXFSZ, handler);
  EXPECT_EQ(readable(*files, chain("a", 3)), 3);
  EXPECT_EQ(warnings_.size(), 1U);
}

}  // namespace
}  // namespace pmt::kv_cache
