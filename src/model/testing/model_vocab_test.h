// Tests on the vocabulary of a real model, that of PERMUTATION_MODEL: skipped where it names no file.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "model/vocab.h"

namespace pmt::model {

class ModelVocabTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    const char* path = std::getenv("PERMUTATION_MODEL");
    if (path == nullptr || *path == '\0') return;
    auto loaded = Vocab::load(path);
    ASSERT_TRUE(loaded) << loaded.error().message;
    vocab = std::move(*loaded);
  }
  static void TearDownTestSuite() { vocab.reset(); }
  void SetUp() override {
    if (vocab == nullptr) GTEST_SKIP() << "PERMUTATION_MODEL names no GGUF";
  }

  static std::string text_of(const std::vector<std::int32_t>& tokens) {
    std::string text;
    for (const auto token : tokens) text += vocab->piece(token, {.name_special = true});
    return text;
  }

  static inline std::unique_ptr<Vocab> vocab;
};

}  // namespace pmt::model
