#include "knowledge_cache/packs/pack_folder.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "knowledge_cache/test_lexicon.h"

namespace pmt::knowledge_cache {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class PackFolderTest : public testing::Test {
 protected:
  PackFolderTest()
      : path_(fs::temp_directory_path() /
              fmt::format("pmt-packs-{}-{}", getpid(),
                          testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(path_);
  }
  ~PackFolderTest() override { fs::remove_all(path_); }

  PackFolder folder(const std::string& model = "model") const {
    return PackFolder({.path = path_.string(), .model = model, .model_name = "m"}, clock_);
  }
  std::shared_ptr<const Slot> slot(const std::string& id) const {
    return test_slot(id, "Where is Zorvane Labs?", "Porto", lexicon_);
  }
  /// A pack of one slot, in a folder that is there.
  void write(const std::string& id) const {
    const PackFolder packs = folder();
    const auto lock = packs.lock("acme");
    ASSERT_TRUE(lock) << lock.error().message;
    const auto stamp = packs.write(*test_domain({slot(id)}));
    ASSERT_TRUE(stamp) << stamp.error().message;
    EXPECT_EQ(*stamp, packs.stamp("acme"));
  }
  /// Adds slots one by one, each time to what is there, as learning does.
  void add_slots(const std::string& name, int count) const {
    const PackFolder packs = folder();
    for (int i = 0; i < count; ++i) {
      const auto lock = packs.lock("acme");
      const auto before = packs.read("acme");
      Domain::Slots slots = before ? before->domain->slots() : Domain::Slots{};
      slots.push_back(slot(fmt::format("{}-{}", name, i)));
      (void)packs.write(*test_domain(std::move(slots)));
    }
  }
  void rest_for_an_hour() const {
    fs::last_write_time(path_, fs::file_time_type::clock::now() - std::chrono::hours(1));
  }
  void damage() const {
    const fs::path pack = path_ / "acme.pack";
    fs::resize_file(pack, fs::file_size(pack) - 3);
  }

  const base::SystemClock clock_;
  const Lexicon lexicon_ = test_lexicon();
  const fs::path path_;
};

/// Runs `work` in a process of its own, and doesn't wait for it.
template <class Work>
pid_t in_another_process(Work&& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    work();
    ::_exit(0);
  }
  return child;
}

void wait_for(pid_t child) {
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(PackFolderTest, WritesReadsAndRemoves) {
  EXPECT_TRUE(folder().domains().empty()) << "no folder, no packs";
  EXPECT_EQ(folder().stamp("acme"), 0);
  EXPECT_EQ(folder().read("acme").error().code, base::Code::kNotFound);
  write("1");
  EXPECT_THAT(folder().domains(), ElementsAre("acme"));
  const auto read = folder().read("acme");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_NE(read->domain->find("1"), nullptr);
  EXPECT_EQ(read->stamp, folder().stamp("acme"));
  write("2");
  EXPECT_NE(read->stamp, folder().stamp("acme")) << "another file, another stamp";
  EXPECT_EQ(folder().read("acme")->domain->find("1"), nullptr);
  ASSERT_TRUE(folder().remove("acme"));
  EXPECT_TRUE(folder().domains().empty());
  EXPECT_EQ(folder().remove("acme").error().code, base::Code::kIo);
}

TEST_F(PackFolderTest, OnlyPacksOfRightNamesAreSeen) {
  write("1");
  for (const char* other : {"note.txt", ".hidden.pack", "a b.pack", "acme.pack.damaged-1", "acme.pack.new"})
    std::ofstream(path_ / other) << "x";
  EXPECT_THAT(folder().domains(), ElementsAre("acme"));
}

TEST_F(PackFolderTest, ADamagedPackIsSetAside) {
  for (const char* aside : {"acme.pack.damaged-1", "acme.pack.damaged-2"}) {
    write("1");
    damage();
    const auto read = folder().read("acme");
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, base::Code::kCorrupt);
    EXPECT_THAT(read.error().message, HasSubstr(aside));
    EXPECT_TRUE(fs::exists(path_ / aside));
    EXPECT_TRUE(folder().domains().empty());
  }
}

TEST_F(PackFolderTest, AnotherModelsPackIsRefusedAndKept) {
  write("1");
  const auto read = folder("another").read("acme");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, base::Code::kUnprocessable);
  EXPECT_THAT(read.error().message, HasSubstr("another model"));
  EXPECT_TRUE(folder().read("acme"));
}

TEST_F(PackFolderTest, AFolderAtRestIsUnchanged) {
  write("1");
  PackFolder packs = folder();
  EXPECT_TRUE(packs.changed()) << "it wasn't seen before";
  EXPECT_TRUE(packs.changed()) << "a time of this very second may hide the next change";
  rest_for_an_hour();
  EXPECT_TRUE(packs.changed());
  EXPECT_FALSE(packs.changed());
  write("2");
  EXPECT_TRUE(packs.changed());
}

TEST_F(PackFolderTest, ASecondProcessWaitsForTheLock) {
  fs::create_directories(path_);
  int locked[2];
  ASSERT_EQ(::pipe(locked), 0);
  const pid_t child = in_another_process([&] {
    const PackFolder packs = folder();
    const auto lock = packs.lock("acme");
    if (!lock || ::write(locked[1], "1", 1) != 1) ::_exit(1);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    (void)packs.write(*test_domain({slot("1")}));
  });
  ASSERT_GT(child, 0);
  char one = 0;
  ASSERT_EQ(::read(locked[0], &one, 1), 1);
  const PackFolder packs = folder();
  EXPECT_TRUE(packs.lock("another")) << "a lock is of one domain";
  const auto lock = packs.lock("acme");
  ASSERT_TRUE(lock) << lock.error().message;
  EXPECT_TRUE(packs.read("acme")) << "what the other one wrote under the lock";
  wait_for(child);
  ::close(locked[0]);
  ::close(locked[1]);
}

TEST_F(PackFolderTest, WhatTwoProcessesAddIsAllThere) {
  constexpr int kEach = 25;
  const pid_t child = in_another_process([&] { add_slots("child", kEach); });
  ASSERT_GT(child, 0);
  add_slots("parent", kEach);
  wait_for(child);
  const auto read = folder().read("acme");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->domain->slots().size(), std::size_t{2} * kEach);
}

TEST_F(PackFolderTest, AFolderThatCantBeWrittenIsAnError) {
  // A file in the folder's place: even root can't make it.
  std::ofstream(path_) << "a file";
  const auto lock = folder().lock("acme");
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().code, base::Code::kIo);
  EXPECT_EQ(folder().write(*test_domain({slot("1")})).error().code, base::Code::kIo);
}

}  // namespace
}  // namespace pmt::knowledge_cache
