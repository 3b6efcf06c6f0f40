// For tests: a folder for PERMUTATION_HOME that goes with the test.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "engine/catalogue.h"

namespace pmt::engine {

/// A home of its own for each test: ctest runs them side by side.
class TestHome : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "pmt_home_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    home_ = name;
    setenv("PERMUTATION_HOME", home_.c_str(), 1);
  }
  void TearDown() override { std::filesystem::remove_all(home_); }

  /// A file of the catalogue's size, made of holes.
  static std::filesystem::path sparse(const CatalogueModel& model, const std::filesystem::path& folder) {
    std::filesystem::create_directories(folder);
    const std::filesystem::path file = folder / model.file;
    std::ofstream(file).close();
    std::filesystem::resize_file(file, static_cast<std::uintmax_t>(model.bytes));
    return file;
  }

  std::filesystem::path home_;
};

}  // namespace pmt::engine
