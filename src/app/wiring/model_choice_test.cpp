#include "app/wiring/model_choice.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/catalogue.h"
#include "engine/test_home.h"

namespace pmt::app {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ModelChoice : public engine::TestHome {};

TEST_F(ModelChoice, AnUninstalledModelSaysHowToInstallIt) {
  const auto options = resolve_models({});
  ASSERT_FALSE(options);
  EXPECT_THAT(options.error().message, HasSubstr("permutation models pull smollm2-135m-instruct"));
}

TEST_F(ModelChoice, TheDefaultIsTheInstalledCatalogueModel) {
  const fs::path file =
      sparse(engine::default_model(), engine::installed_path(engine::default_model()).parent_path());
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
  sparse(engine::default_model(), engine::installed_path(engine::default_model()).parent_path());
  EXPECT_EQ(resolve_spec("")->name, engine::default_model().name);
  EXPECT_EQ(resolve_spec("a/X.gguf")->name, "x");
  EXPECT_FALSE(resolve_spec("gpt-9"));
}

}  // namespace
}  // namespace pmt::app
