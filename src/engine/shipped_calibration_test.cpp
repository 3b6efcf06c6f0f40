#include "engine/shipped_calibration.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "engine/catalogue.h"
#include "engine/home.h"

namespace pmt::engine {
namespace {

constexpr std::size_t kBytesMax = 2 << 20;

TEST(ShippedCalibration, IsOfTheCataloguesModelsAlone) {
  EXPECT_TRUE(shipped_calibration_of("no such model").empty());
  EXPECT_TRUE(shipped_calibration_of("").empty());
  for (const CatalogueModel& model : catalogue()) {
    const std::string_view bytes = shipped_calibration_of(model.name);
    if (bytes.empty()) continue;  // not made yet, or a model that embeds
    EXPECT_EQ(bytes.substr(0, 8), "pmt-kv02") << model.name;
    EXPECT_LE(bytes.size(), kBytesMax) << model.name;
  }
}

TEST(ShippedCalibration, AnotherFileOfTheSameSizeHasNone) {
  const std::string path = testing::TempDir() + "other.gguf";
  std::ofstream(path) << "x";
  std::filesystem::resize_file(path, static_cast<std::uintmax_t>(default_model().bytes));  // sparse
  EXPECT_TRUE(shipped_calibration(path).empty());
  inference::LocalModelOptions options;
  options.path = path;
  find_calibration(options);
  EXPECT_EQ(options.calibration_path, calibration_path(path).string());
  EXPECT_TRUE(options.calibration_shipped.empty());
  std::filesystem::remove(path);
  EXPECT_TRUE(shipped_calibration(path).empty());
}

}  // namespace
}  // namespace pmt::engine
