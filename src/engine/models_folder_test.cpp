#include "engine/models_folder.h"

#include <fstream>

#include <gmock/gmock.h>

#include "engine/pulled_models.h"
#include "engine/test_home.h"

namespace pmt::engine {
namespace {

namespace fs = std::filesystem;

class ModelsFolder : public TestHome {
 protected:
  void put(const std::string& path) const {
    const fs::path file = home_ / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << "bytes";
  }
  std::vector<std::string> found() const {
    const auto files = models_in(home_.string());
    EXPECT_TRUE(files) << files.error().message;
    std::vector<std::string> out;
    for (const ModelFile& file : files.value_or(std::vector<ModelFile>()))
      out.push_back(file.name + " " + fs::relative(file.path, home_).string());
    return out;
  }
};

TEST_F(ModelsFolder, EveryGgufHasTheNameOfItsFile) {
  put("B.Q4_K_M.gguf");
  put("a.gguf");
  put("below/c.gguf");
  put("readme.md");
  put(".hidden.gguf");
  put(".pull-d/d.gguf");
  put("below/too/deep.gguf");
  put("a.gguf.damaged-1");
  EXPECT_THAT(found(), ::testing::ElementsAre("a a.gguf", "b.q4_k_m B.Q4_K_M.gguf", "c below/c.gguf"));
}

TEST_F(ModelsFolder, APulledModelHasTheNameThatItWasPulledUnder) {
  put("mine/some-file.gguf");
  ASSERT_TRUE(write_record(home_ / "mine", {.name = "mine", .file = "some-file.gguf"}));
  EXPECT_THAT(found(), ::testing::ElementsAre("mine mine/some-file.gguf"));
}

TEST_F(ModelsFolder, AFolderThatIsntThereIsNamed) {
  const auto files = models_in((home_ / "absent").string());
  ASSERT_FALSE(files);
  EXPECT_THAT(files.error().message, ::testing::HasSubstr("absent"));
}

}  // namespace
}  // namespace pmt::engine
