// A library of one model in a folder of its own, for tests: words of more than six letters are rare, all others known.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/clock.h"
#include "knowledge_cache/library.h"

namespace pmt::knowledge_cache {

class LibraryFixture : public testing::Test {
 protected:
  LibraryFixture()
      : folder_(std::filesystem::temp_directory_path() /
                fmt::format("pmt-library-{}-{}", getpid(),
                            testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(folder_);
  }
  ~LibraryFixture() override { std::filesystem::remove_all(folder_); }

  /// Without an embedder.
  LibraryOptions library_options() const {
    LibraryOptions options;
    options.folder = folder_.string();
    options.model_name = "m";
    options.model = "digest";
    options.rarity = [](std::string_view word) { return word.size() > 6 ? 12.0 : 9.0; };
    return options;
  }
  std::unique_ptr<Library> open(LibraryOptions options) const {
    return std::move(*Library::open(std::move(options), clock_));
  }

  base::SystemClock clock_;
  const std::filesystem::path folder_;
};

}  // namespace pmt::knowledge_cache
