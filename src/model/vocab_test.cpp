#include "model/vocab.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <thread>

#include <gguf.h>
#include <gtest/gtest.h>
#include <llama.h>

#include "model/testing/model_vocab_test.h"

namespace pmt::model {
namespace {

class VocabTest : public ModelVocabTest {
 protected:
  static void SetUpTestSuite() {
    ModelVocabTest::SetUpTestSuite();
    if (vocab != nullptr) model_path = std::getenv("PERMUTATION_MODEL");
  }

  static inline std::string model_path;
};

std::string write_file(const std::string& name, std::string_view bytes) {
  const auto path = std::filesystem::path(testing::TempDir()) / name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path.string();
}

TEST_F(VocabTest, KnowsItsTokens) {
  EXPECT_EQ(vocab->size(), 49152);
  EXPECT_EQ(vocab->eos(), vocab->tokenize("<|im_end|>", {.parse_special = true}).at(0));
  EXPECT_TRUE(vocab->is_eog(*vocab->eos()));
  EXPECT_EQ(vocab->pad(), vocab->eos()) << "of this model";
  EXPECT_FALSE(vocab->is_eog(vocab->tokenize("dog", {}).at(0)));
  EXPECT_FALSE(vocab->adds_bos());
  EXPECT_TRUE(vocab->chat_template());
  EXPECT_TRUE(vocab->special_tokens().find("<|im_start|>"));
}

TEST_F(VocabTest, PiecesGiveTheTextBack) {
  for (const std::string text : {"Hello, world!", "  two  spaces\n\n\ttab", "naïve 日本語 😀 ﷽",
                                 "1234567890 x=3.14;", " leading", "don't I'LL"}) {
    const auto tokens = vocab->tokenize(text, {});
    EXPECT_EQ(text_of(tokens), text);
    EXPECT_EQ(vocab->count_tokens(text), static_cast<std::int64_t>(tokens.size()));
  }
  EXPECT_TRUE(vocab->tokenize("", {}).empty());
}

TEST_F(VocabTest, ControlTokensOnlyWhenAsked) {
  const std::string name = "<|im_end|>";
  const auto parsed = vocab->tokenize(name, {.parse_special = true});
  ASSERT_EQ(parsed.size(), 1U);
  EXPECT_EQ(vocab->piece(parsed[0]), "");
  EXPECT_EQ(vocab->piece(parsed[0], {.name_special = true}), name);
  const auto plain = vocab->tokenize(name, {});
  EXPECT_GT(plain.size(), 1U);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), parsed[0]), 0);
  EXPECT_EQ(text_of(plain), name);
}

TEST_F(VocabTest, CutsAtControlTokensAsLibllamaDoes) {
  std::mt19937 random(4);
  const std::vector<std::string> pieces = {"<|im_end|>", "<|im_start|>", "\n", " a", "b ",
                                           "<|im_",      "end|>",        "é",  "1",  ""};
  for (int round = 0; round < 300; ++round) {
    std::string text;
    for (int i = 0; i < 8; ++i) text += pieces[random() % pieces.size()];
    for (const bool add_special : {false, true}) {
      std::vector<std::int32_t> expected(text.size() + 8);
      expected.resize(static_cast<std::size_t>(
          llama_tokenize(vocab->raw(), text.data(), static_cast<std::int32_t>(text.size()), expected.data(),
                         static_cast<std::int32_t>(expected.size()), add_special, true)));
      ASSERT_EQ(vocab->tokenize(text, {.add_special = add_special, .parse_special = true}), expected) << text;
    }
  }
}

TEST_F(VocabTest, AMegabyteOfAnythingTokenizesInTime) {
  const auto repeated = [](std::string_view unit) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    return text;
  };
  for (const std::string_view unit : {"The quick brown fox jumps over 13 lazy dogs.\n", "a", "7", " ", "\n",
                                      "!", "日本語", "\xFF", "😀", "<|im_end|>"}) {
    const auto start = std::chrono::steady_clock::now();
    const auto tokens = vocab->tokenize(repeated(unit), {.parse_special = true});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    EXPECT_GT(tokens.size(), 1000U);
    EXPECT_LT(took.count(), 20) << "for '" << unit << "'";
    std::printf("  1 MB of '%.*s': %zu tokens, %.2f s\n",
                static_cast<int>(std::min<std::size_t>(unit.size(), 9)), unit == "\n" ? "n" : unit.data(),
                tokens.size(), took.count());
  }
}

TEST_F(VocabTest, ManyThreadsGetTheSameTokens) {
  const std::string text = "Permutation keeps three caches; 日本語 and 42 numbers.";
  const auto expected = vocab->tokenize(text, {});
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) wrong += vocab->tokenize(text, {}) == expected ? 0 : 1;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(VocabTest, ATruncatedModelIsAnError) {
  std::ifstream file(model_path, std::ios::binary);
  std::string head(300'000, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  for (const std::size_t length : {5U, 30U, 1000U, 299'999U}) {
    const auto loaded = Vocab::load(write_file("truncated.gguf", std::string_view(head).substr(0, length)));
    ASSERT_FALSE(loaded) << length;
    EXPECT_EQ(loaded.error().code, base::Code::kCorrupt);
    EXPECT_NE(loaded.error().message.find("truncated.gguf can't be loaded"), std::string::npos)
        << loaded.error().message;
    EXPECT_GT(loaded.error().message.size(), 70U) << "says why: " << loaded.error().message;
  }
}

/// A GGUF with these tokens and nothing else.
std::string tokens_only(const std::string& name, std::vector<const char*> tokens, std::vector<float> scores) {
  gguf_context* gguf = gguf_init_empty();
  gguf_set_val_str(gguf, "general.architecture", "llama");
  gguf_set_val_str(gguf, "tokenizer.ggml.model", "llama");
  gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", tokens.data(), tokens.size());
  gguf_set_arr_data(gguf, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(), scores.size());
  const std::string path = write_file(name, "");
  gguf_write_to_file(gguf, path.c_str(), true);
  gguf_free(gguf);
  return path;
}

// libllama itself aborts on the first and reads past the end of the second.
TEST(VocabLoadTest, HostileTokenListsAreErrors) {
  auto loaded = Vocab::load(tokens_only("twice.gguf", {"a", "b", "a"}, {0, 0, 0}));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, base::Code::kCorrupt);
  EXPECT_NE(loaded.error().message.find("'a' twice"), std::string::npos) << loaded.error().message;

  loaded = Vocab::load(tokens_only("short.gguf", {"a", "b", "c"}, {0, 0}));
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("2 entries for 3 tokens"), std::string::npos)
      << loaded.error().message;
}

TEST(VocabLoadTest, SaysWhatIsWrongWithAFile) {
  auto loaded = Vocab::load("nowhere/at/all.gguf");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, base::Code::kNotFound);
  EXPECT_NE(loaded.error().message.find("nowhere/at/all.gguf"), std::string::npos);

  loaded = Vocab::load(write_file("not.gguf", "This is a text file, not a model."));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, base::Code::kCorrupt);
  EXPECT_NE(loaded.error().message.find("magic"), std::string::npos) << loaded.error().message;

  loaded = Vocab::load(write_file("empty.gguf", ""));
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, base::Code::kCorrupt);
  EXPECT_FALSE(Vocab::load(testing::TempDir()));
}

}  // namespace
}  // namespace pmt::model
