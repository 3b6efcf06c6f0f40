#include "app/wiring/root_record.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace pmt::app {
namespace {

class RootRecord : public testing::Test {
 protected:
  void SetUp() override {
    const char* home = std::getenv("PERMUTATION_HOME");
    home_ = home == nullptr ? "" : home;
    folder_ = std::filesystem::path(testing::TempDir()) / "root_record";
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    setenv("PERMUTATION_HOME", folder_.c_str(), 1);
    model_ = file("model.gguf", "some weights");
  }
  void TearDown() override {
    home_.empty() ? unsetenv("PERMUTATION_HOME") : setenv("PERMUTATION_HOME", home_.c_str(), 1);
  }
  std::string file(const std::string& name, const std::string& bytes) const {
    const auto path = folder_ / name;
    std::ofstream(path) << bytes;
    return path.string();
  }

  std::filesystem::path folder_;
  std::string home_, model_;
};

TEST_F(RootRecord, IsReadBackForTheSameBytesOnly) {
  EXPECT_FALSE(known_trials(model_));
  ASSERT_TRUE(save_trials({.programs = {.asked = 8, .right = 7}, .queries = {.asked = 9, .right = 6}}, "mine",
                          model_, trial_path(model_)));
  const auto known = known_trials(model_);
  ASSERT_TRUE(known);
  EXPECT_EQ(known->programs.asked, 8);
  EXPECT_EQ(known->programs.right, 7);
  EXPECT_EQ(known->queries.asked, 9);
  EXPECT_EQ(known->queries.right, 6);
  file("model.gguf", "some weighty");  // as long, and another
  EXPECT_FALSE(known_trials(model_));
}

TEST_F(RootRecord, ADamagedOneIsNone) {
  ASSERT_TRUE(save_trials({.programs = {.asked = 8, .right = 7}, .queries = {.asked = 9, .right = 6}}, "mine",
                          model_, trial_path(model_)));
  std::ifstream in(trial_path(model_));
  const std::string good{std::istreambuf_iterator<char>(in), {}};
  for (const auto& [from, to] : {std::pair{"\"right\": 7", "\"right\": 9"},
                                 {"\"right\": 7", "\"right\": \"7\""},
                                 {"\"asked\": 8", "\"asked\": 80"},
                                 {"\"trial\": 2", "\"trial\": 1"},
                                 {"\"queries\"", "\"others\""},
                                 {"{", "["}}) {
    std::string text = good;
    text.replace(text.find(from), std::string(from).size(), to);
    std::ofstream(trial_path(model_)) << text;
    EXPECT_FALSE(known_trials(model_)) << text;
  }
}

}  // namespace
}  // namespace pmt::app
