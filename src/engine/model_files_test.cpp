#include "engine/model_files.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/catalogue.h"
#include "engine/home.h"
#include "engine/test_home.h"

namespace pmt::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class ModelFiles : public TestHome {};

TEST_F(ModelFiles, AnUninstalledModelSaysHowToInstallIt) {
  const auto found = find_model({.name = std::string(default_model().name)});
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().message, HasSubstr("permutation models pull smollm2-135m-instruct"));
  const auto embedder = find_embedder({});
  ASSERT_FALSE(embedder);
  EXPECT_THAT(embedder.error().message, HasSubstr("permutation models pull all-minilm-l6-v2"));
}

TEST_F(ModelFiles, AnInstalledModelIsFoundByItsName) {
  const fs::path file = sparse(default_model(), installed_path(default_model()).parent_path());
  const auto found = find_model({.name = std::string(default_model().name)});
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->path, file.string());
  EXPECT_EQ(found->name, default_model().name);
}

TEST_F(ModelFiles, ATruncatedFileIsNotInstalled) {
  const fs::path file = sparse(default_model(), installed_path(default_model()).parent_path());
  EXPECT_TRUE(is_installed(default_model()));
  fs::resize_file(file, 100);
  EXPECT_FALSE(is_installed(default_model()));
}

TEST_F(ModelFiles, TheCataloguesFileElsewhereKeepsTheCataloguesName) {
  const auto found = find_model(model_from_spec(sparse(default_model(), home_ / "elsewhere").string()));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, default_model().name);
  const auto embedder = find_embedder({.path = sparse(default_embedder(), home_ / "elsewhere").string()});
  ASSERT_TRUE(embedder) << embedder.error().message;
  EXPECT_EQ(embedder->name, default_embedder().name);
}

TEST_F(ModelFiles, AnyOtherFileIsNamedByItsStemInLowerCase) {
  const auto found = find_model(model_from_spec("models/My-Model.Q8.gguf"));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->name, "my-model.q8");
  EXPECT_EQ(found->path, "models/My-Model.Q8.gguf");
  EXPECT_EQ(find_model({.name = "mine", .path = "models/My-Model.Q8.gguf"})->name, "mine");
}

TEST_F(ModelFiles, AnUnknownNameListsTheCatalogue) {
  const auto found = find_model(model_from_spec("gpt-9"));
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().message, HasSubstr(std::string(default_model().name)));
  EXPECT_FALSE(find_model(model_from_spec(""))) << "an unset variable of a script is no name";
}

TEST_F(ModelFiles, AnEmbedderDoesNotWriteAndAFileMustBeThere) {
  const auto writes = find_model({.name = std::string(default_embedder().name)});
  ASSERT_FALSE(writes);
  EXPECT_THAT(writes.error().message, HasSubstr("makes embeddings"));
  const auto absent = find_embedder({.path = (home_ / "absent.gguf").string()});
  ASSERT_FALSE(absent);
  EXPECT_THAT(absent.error().message, HasSubstr("absent.gguf"));
}

TEST_F(ModelFiles, HomeFollowsTheEnvironment) {
  EXPECT_EQ(home_dir(), home_);
  unsetenv("PERMUTATION_HOME");
  EXPECT_TRUE(home_dir().string().ends_with(".local/share/permutation"));
}

}  // namespace
}  // namespace pmt::engine
