// Embedding models of several families: a text among others has the vector that libllama gives it alone.
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <llama.h>

#include "inference/local_embedder.h"
#include "model/llama_log.h"
#include "model/testing/tiny_family.h"

namespace pmt::inference {
namespace {

using model::testing::TinyFamily;
using model::testing::TinyFamilyOptions;

const base::SystemClock kClock;

struct Free {
  void operator()(llama_model* model) const { llama_model_free(model); }
  void operator()(llama_context* context) const { llama_free(context); }
};

std::vector<float> libllama_vector(const std::string& path, const std::string& text) {
  model::init_llama();
  const std::unique_ptr<llama_model, Free> model(
      llama_model_load_from_file(path.c_str(), llama_model_default_params()));
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = 256;
  params.n_threads = params.n_threads_batch = 1;
  params.embeddings = true;
  const std::unique_ptr<llama_context, Free> context(llama_init_from_model(model.get(), params));
  std::vector<llama_token> tokens(3 * text.size() + 4);  // a space is a character of three bytes there
  tokens.resize(static_cast<std::size_t>(
      llama_tokenize(llama_model_get_vocab(model.get()), text.data(), static_cast<std::int32_t>(text.size()),
                     tokens.data(), static_cast<std::int32_t>(tokens.size()), true, false)));
  const llama_batch batch = llama_batch_get_one(tokens.data(), static_cast<std::int32_t>(tokens.size()));
  const bool encodes = llama_get_memory(context.get()) == nullptr;
  EXPECT_EQ(0, encodes ? llama_encode(context.get(), batch) : llama_decode(context.get(), batch));
  const float* const values = llama_get_embeddings_seq(context.get(), 0);
  EXPECT_NE(values, nullptr);
  std::vector<float> out(values, values + llama_model_n_embd_out(model.get()));
  double squares = 0;
  for (const float value : out) squares += double{value} * value;
  for (float& value : out) value /= static_cast<float>(std::sqrt(squares));
  return out;
}

class EmbedderFamilyTest : public testing::TestWithParam<TinyFamilyOptions> {};

TEST_P(EmbedderFamilyTest, AmongOthersATextHasTheVectorThatItHasAlone) {
  const TinyFamily file(GetParam());
  const auto embedder = LocalEmbedder::create({.name = "tiny", .path = file.path(), .threads = 1}, kClock);
  const std::vector<std::string> texts{"a cache", "what a cache is, in a longer sentence of some words",
                                       "other"};
  std::vector<llm::EmbedInput> inputs;
  for (const std::string& text : texts) inputs.push_back({.text = text, .tokens = {}});
  for (int again = 0; again < 2; ++again) {  // nothing of the batch before is left
    const auto made = embedder->embed(inputs);
    ASSERT_TRUE(made) << made.error().message;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto wanted = libllama_vector(file.path(), texts[i]);
      ASSERT_EQ(made->width, wanted.size());
      double product = 0;
      for (std::size_t k = 0; k < wanted.size(); ++k)
        product += double{made->values[i * made->width + k]} * wanted[k];
      EXPECT_GT(product, 0.9999) << texts[i];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Families, EmbedderFamilyTest,
    testing::Values(TinyFamilyOptions{.architecture = "qwen3", .pooling = LLAMA_POOLING_TYPE_LAST},
                    TinyFamilyOptions{.architecture = "llama", .pooling = LLAMA_POOLING_TYPE_MEAN},
                    TinyFamilyOptions{.architecture = "modern-bert", .pooling = LLAMA_POOLING_TYPE_CLS}),
    [](const auto& each) {
      return each.param.architecture == "modern-bert" ? "modern_bert" : each.param.architecture;
    });

TEST(EmbedderFamily, AModelThatWritesIsToldWhatItLacks) {
  const TinyFamily file({.architecture = "gpt2"});
  const auto embedder = LocalEmbedder::create({.name = "tiny", .path = file.path(), .threads = 1}, kClock);
  const auto refused = embedder->embed("a");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("its architecture is gpt2, and it doesn't pool"), std::string::npos)
      << refused.error().message;
}

}  // namespace
}  // namespace pmt::inference
