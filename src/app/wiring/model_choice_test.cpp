#include "app/wiring/model_choice.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/catalogue.h"

namespace pmt::app {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

/// A home of its own for each test.
class ModelChoice : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "pmt_model_choice_XXXXXX";  // ctest runs these side by side
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    home_ = name;
    setenv("PERMUTATION_HOME", home_.c_str(), 1);
  }
  void TearDown() override { fs::remove_all(home_); }

  /// A file of the catalogue's size, made of holes.
  static fs::path sparse_model(const fs::path& folder) {
    fs::create_directories(folder);
    const fs::path file = folder / engine::default_model().file;
    std::ofstream(file).close();
    fs::resize_file(file, static_cast<std::uintmax_t>(engine::default_model().bytes));
    return file;
  }

  fs::path home_;
};

TEST_F(ModelChoice, AnUninstalledModelSaysHowToInstallIt) {
  const auto options = resolve_models({});
  ASSERT_FALSE(options);
  EXPECT_THAT(options.error().message, HasSubstr("permutation models pull smollm2-135m-instruct"));
}

TEST_F(ModelChoice, TheDefaultIsTheInstalledCatalogueModel) {
  const fs::path file = sparse_model(engine::installed_path(engine::default_model()).parent_path());
  EXPECT_TRUE(engine::is_installed(engine::default_model()));
  const auto options = resolve_models({});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->at(0).path, file.string());
  EXPECT_EQ(options->at(0).name, engine::default_model().name);
}

TEST_F(ModelChoice, TwoModelsOfOneNameAreRefused) {
  EXPECT_FALSE(resolve_models({model_from_spec("a/x.gguf"), model_from_spec("b/X.gguf")}));
  EXPECT_FALSE(resolve_models({{.name = "permutation", .path = "a.gguf"}}));
  EXPECT_TRUE(resolve_models({model_from_spec("a/x.gguf"), model_from_spec("b/y.gguf")}));
}

TEST_F(ModelChoice, ACommandWithoutAModelTakesTheDefault) {
  sparse_model(engine::installed_path(engine::default_model()).parent_path());
  EXPECT_EQ(resolve_spec("")->name, engine::default_model().name);
  EXPECT_EQ(resolve_spec("a/X.gguf")->name, "x");
  EXPECT_FALSE(resolve_spec("gpt-9"));
}

}  // namespace
}  // namespace pmt::app
