// The files of prefixes under kill -9: what is there afterwards is whole.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "kv_cache/disk/prefix_files_fixture.h"

namespace pmt::kv_cache {
namespace {

class PrefixKillTest : public PrefixFilesFixture {};

TEST_F(PrefixKillTest, AKillInTheMiddleLeavesWholeBlocksOrNone) {
  constexpr int kRounds = 20, kBlocks = 400;
  std::mt19937 rng(8);
  for (int round = 0; round < kRounds; ++round) {
    const std::string secret = round % 2 == 0 ? "" : std::string(BlockFile::kSecretBytes, 'k');
    const std::string text = std::to_string(round);
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      const auto files = open(60 * kFileBytes, secret);
      if (files == nullptr) _exit(2);
      const auto ticket = files->submit(blocks(text, 0, kBlocks), files->epoch());
      while (files->stats().writes == 0) {
      }
      const char begun = 1;
      if (::write(ends[1], &begun, 1) != 1) _exit(3);
      files->wait(*ticket, std::chrono::seconds(60));
      pause();
    }
    close(ends[1]);
    char begun = 0;
    ASSERT_EQ(read(ends[0], &begun, 1), 1);
    close(ends[0]);
    usleep(400'000);
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);

    const auto files = open(kLots, secret);
    ASSERT_TRUE(warnings_.empty()) << warnings_.front();
    EXPECT_TRUE(found(".partial").empty());
    const std::size_t known = files->known(chain(text, kBlocks));
    EXPECT_GT(known, 0U);
    EXPECT_EQ(readable(*files, chain(text, kBlocks)), static_cast<int>(known));
    EXPECT_EQ(files->stats().damaged, 0U);
    EXPECT_LE(files->stats().bytes, 61 * kFileBytes);
  }
}

}  // namespace
}  // namespace pmt::kv_cache
