#include "app/wiring/model_choice.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/config/home.h"
#include "app/wiring/catalogue.h"

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
    const fs::path file = folder / default_model().file;
    std::ofstream(file).close();
    fs::resize_file(file, static_cast<std::uintmax_t>(default_model().bytes));
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
  const fs::path file = sparse_model(installed_path(default_model()).parent_path());
  EXPECT_TRUE(is_installed(default_model()));
  const auto options = resolve_models({});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->at(0).path, file.string());
  EXPECT_EQ(options->at(0).name, default_model().name);
}

TEST_F(ModelChoice, ATruncatedFileIsNotInstalled) {
  fs::resize_file(sparse_model(installed_path(default_model()).parent_path()), 100);
  EXPECT_FALSE(is_installed(default_model()));
}

TEST_F(ModelChoice, TheCataloguesFileElsewhereKeepsTheCataloguesName) {
  const auto options = resolve_model(model_from_spec(sparse_model(home_ / "elsewhere").string()));
  ASSERT_TRUE(options);
  EXPECT_EQ(options->name, default_model().name);
}

TEST_F(ModelChoice, AnyOtherFileIsNamedByItsStemInLowerCase) {
  const auto options = resolve_model(model_from_spec("models/My-Model.Q8.gguf"));
  ASSERT_TRUE(options);
  EXPECT_EQ(options->name, "my-model.q8");
  EXPECT_EQ(options->path, "models/My-Model.Q8.gguf");
}

TEST_F(ModelChoice, AnUnknownNameListsTheCatalogue) {
  const auto options = resolve_model(model_from_spec("gpt-9"));
  ASSERT_FALSE(options);
  EXPECT_THAT(options.error().message, HasSubstr(std::string(default_model().name)));
}

TEST_F(ModelChoice, TwoModelsOfOneNameAreRefused) {
  EXPECT_FALSE(resolve_models({model_from_spec("a/x.gguf"), model_from_spec("b/X.gguf")}));
  EXPECT_FALSE(resolve_models({{.name = "permutation", .path = "a.gguf"}}));
  EXPECT_TRUE(resolve_models({model_from_spec("a/x.gguf"), model_from_spec("b/y.gguf")}));
}

TEST_F(ModelChoice, HomeFollowsTheEnvironment) {
  EXPECT_EQ(home_dir(), home_);
  unsetenv("PERMUTATION_HOME");
  EXPECT_TRUE(home_dir().string().ends_with(".local/share/permutation"));
}

}  // namespace
}  // namespace pmt::app
