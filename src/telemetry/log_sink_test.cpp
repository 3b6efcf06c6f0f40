#include "telemetry/log_sink.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <spdlog/spdlog.h>

#include "base/file.h"

namespace pmt::telemetry {
namespace {

using testing::HasSubstr;

struct Ends {
  int fd[2] = {-1, -1};  // to read, to write
  ~Ends() {
    close_reader();
    ::close(fd[1]);
  }
  void close_reader() {
    if (fd[0] >= 0) ::close(fd[0]);
    fd[0] = -1;
  }
  std::string all() const {
    fcntl(fd[0], F_SETFL, O_NONBLOCK);
    std::string text(1 << 20, '\0');
    const ssize_t n = ::read(fd[0], text.data(), text.size());
    text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return text;
  }
};

class LogSinkTest : public testing::Test {
 protected:
  LogSinkTest() {
    std::signal(SIGPIPE, SIG_IGN);  // as main() does
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
  }
  ~LogSinkTest() override { std::filesystem::remove_all(folder_); }
  std::string path(const char* name) const { return (folder_ / name).string(); }
  void log_to(int fd) {
    sink_ = std::make_shared<LogSink>(fd);
    logger_ = std::make_unique<spdlog::logger>("permutation", sink_);
    logger_->set_pattern("%v");
  }
  /// Until lines are lost. Nobody reads: more than any pipe's or socket's buffer.
  void fill() {
    const std::string line(1000, 'x');
    for (int i = 0; i < 4000; ++i) logger_->info(line);
  }

  const std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / fmt::format("log-sink-{}", getpid());
  std::shared_ptr<LogSink> sink_;
  std::unique_ptr<spdlog::logger> logger_;
};

TEST_F(LogSinkTest, AReaderThatGoesAwayCostsOnlyItsLines) {
  for (const bool before : {true, false}) {
    Ends ends;
    ASSERT_EQ(pipe(ends.fd), 0);
    if (before) ends.close_reader();
    log_to(ends.fd[1]);
    ends.close_reader();
    for (int i = 0; i < 3; ++i) logger_->info("into the void");
    EXPECT_EQ(sink_->lost(), 3U);
  }
}

TEST_F(LogSinkTest, AReaderThatTakesNothingHoldsNobodyUpAndHearsLaterWhatItMissed) {
  for (const bool socket : {false, true}) {
    Ends ends;
    ASSERT_EQ(socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends.fd) : pipe(ends.fd), 0);
    log_to(ends.fd[1]);
    const auto begin = std::chrono::steady_clock::now();
    fill();
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
    EXPECT_GT(sink_->lost(), 0U);
    EXPECT_EQ(fcntl(ends.fd[1], F_GETFL) & O_NONBLOCK, 0) << "others who share it would not expect that";
    while (!ends.all().empty()) {
    }
    logger_->info("again");
    const std::string text = ends.all();
    EXPECT_THAT(text, testing::EndsWith("\nagain\n"));
    EXPECT_THAT(text, HasSubstr(fmt::format("{} lines were lost", sink_->lost())));
    logger_->info("and on");
    EXPECT_EQ(ends.all(), "and on\n") << "told once";
  }
}

TEST_F(LogSinkTest, ALineLongerThanAPipeTakesAtOnceArrivesWhole) {
  Ends ends;
  ASSERT_EQ(pipe(ends.fd), 0);
  log_to(ends.fd[1]);
  const std::string line(50'000, 'y');
  logger_->info(line);
  EXPECT_EQ(ends.all(), line + "\n");
}

TEST_F(LogSinkTest, AFileThatWasMovedAwayIsOpenedAnew) {
  log_to(STDERR_FILENO);
  ASSERT_TRUE(sink_->open(path("log")));
  logger_->info("one");
  std::filesystem::rename(path("log"), path("log.1"));
  logger_->info("two");
  ASSERT_TRUE(sink_->open(path("log")));
  logger_->info("three");
  ASSERT_TRUE(sink_->open(path("log")));
  logger_->info("four");
  EXPECT_EQ(*base::read_file(path("log.1")), "one\ntwo\n");
  EXPECT_EQ(*base::read_file(path("log")), "three\nfour\n") << "never written over";
}

TEST_F(LogSinkTest, WhatIsNoFileIsRefusedAndTheLogGoesOnWhereItWas) {
  log_to(STDERR_FILENO);
  ASSERT_TRUE(sink_->open(path("log")));
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  for (const std::string& wrong :
       {path("pipe"), folder_.string(), std::string("/dev/null"), path("no/log")}) {
    const base::Status opened = sink_->open(wrong);
    ASSERT_FALSE(opened) << wrong;
    EXPECT_THAT(opened.error().message, HasSubstr(wrong));
  }
  logger_->info("still here");
  EXPECT_EQ(*base::read_file(path("log")), "still here\n");
}

TEST_F(LogSinkTest, AFullDiskLosesLinesAndNothingElse) {
  const int full = ::open("/dev/full", O_WRONLY);
  log_to(full);
  logger_->info("no room");
  EXPECT_EQ(sink_->lost(), 1U);
  ::close(full);
}

}  // namespace
}  // namespace pmt::telemetry
