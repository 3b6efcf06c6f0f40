// Every architecture that we run, as a tiny model of random weights, against libllama on the same file.
#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <llama.h>

#include "kv_cache/page_budget.h"
#include "model/llama_log.h"
#include "model/testing/tiny_model.h"
#include "model/transformer.h"

namespace pmt::model {
namespace {

using testing::TinyModel;

constexpr int kVocabulary = 80;
constexpr int kTokens = 150;  // more than four pages

std::vector<std::int32_t> some_tokens() {
  std::mt19937 rng(5);
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < kTokens; ++i) tokens.push_back(static_cast<std::int32_t>(rng() % kVocabulary));
  return tokens;
}

/// Logits of every token, [tokens, vocabulary]; keys and values in f16, as ours are.
std::vector<float> libllama_logits(const std::string& path, std::vector<std::int32_t> tokens) {
  init_llama();
  llama_model* model = llama_model_load_from_file(path.c_str(), llama_model_default_params());
  EXPECT_NE(model, nullptr);
  if (model == nullptr) return {};
  llama_context_params params = llama_context_default_params();
  params.n_ctx = 256;
  params.n_threads = params.n_threads_batch = 1;
  llama_context* context = llama_init_from_model(model, params);
  const auto count = static_cast<std::int32_t>(tokens.size());
  llama_batch batch = llama_batch_init(count, 0, 1);
  for (std::int32_t i = 0; i < count; ++i) {
    batch.token[i] = tokens[static_cast<std::size_t>(i)];
    batch.pos[i] = i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  batch.n_tokens = count;
  EXPECT_EQ(0, llama_decode(context, batch));
  const float* logits = llama_get_logits(context);
  std::vector<float> out(logits, logits + tokens.size() * kVocabulary);
  llama_batch_free(batch);
  llama_free(context);
  llama_model_free(model);
  return out;
}

/// The same by ours, in chunks of `chunk` tokens.
std::vector<float> our_logits(const std::string& path, const std::vector<std::int32_t>& tokens, int chunk) {
  auto transformer = Transformer::load(path, 2, {});
  EXPECT_TRUE(transformer) << transformer.error().message;
  if (!transformer) return {};
  auto pool = std::move(*(*transformer)->make_pool(4U << 20));
  kv_cache::SequenceKv sequence(*pool, (*transformer)->hparams().kv_shape());
  std::vector<float> out;
  for (std::size_t at = 0; at < tokens.size(); at += static_cast<std::size_t>(chunk)) {
    const std::size_t count = std::min<std::size_t>(static_cast<std::size_t>(chunk), tokens.size() - at);
    BatchSpan span{&sequence, std::span(tokens).subspan(at, count), {}};
    for (std::size_t i = 0; i < count; ++i) span.output_rows.push_back(static_cast<int>(i));
    const auto logits = (*transformer)->forward(*pool, std::span(&span, 1));
    EXPECT_TRUE(logits);
    out.insert(out.end(), logits->begin(), logits->end());
    sequence.drop_unseen();
  }
  const std::size_t most = kv_cache::exact_pages_at_most(sequence.shape(), sequence.tokens(), chunk);
  EXPECT_LE(sequence.held().page_count, most);
  return out;
}

struct Case {
  const char* architecture;
  int head_dim;
};

class ArchitectureTest : public ::testing::TestWithParam<Case> {};

/// The greatest difference between our logits and libllama's, over their root mean square.
double worst_difference(const TinyModel& model, int chunk) {
  const auto tokens = some_tokens();
  const auto want = libllama_logits(model.path(), tokens);
  EXPECT_EQ(want.size(), tokens.size() * kVocabulary);
  const auto got = our_logits(model.path(), tokens, chunk);
  EXPECT_EQ(got.size(), want.size());
  if (got.size() != want.size()) return INFINITY;
  double power = 0, worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    power += double{want[i]} * want[i];
    worst = std::max(worst, std::fabs(double{got[i]} - want[i]));
  }
  return worst / std::sqrt(power / static_cast<double>(want.size()));
}

TEST_P(ArchitectureTest, GivesLibllamasLogits) {
  const TinyModel model({.architecture = GetParam().architecture, .head_dim = GetParam().head_dim});
  for (const int chunk : {kTokens, 9})
    EXPECT_LT(worst_difference(model, chunk), 0.03) << "in chunks of " << chunk;
}

INSTANTIATE_TEST_SUITE_P(All, ArchitectureTest,
                         ::testing::Values(Case{"llama", 16}, Case{"llama", 32}, Case{"qwen2", 16},
                                           Case{"qwen3", 16}, Case{"qwen3", 48}, Case{"gemma3", 16},
                                           Case{"gemma3", 48}),
                         [](const auto& each) {
                           return fmt::format("{}_{}", each.param.architecture, each.param.head_dim);
                         });

/// Of the median token: a router that is undecided between two experts may choose another one on either side.
double rms_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  std::vector<double> squares(std::min(a.size(), b.size()) / kVocabulary);
  for (std::size_t i = 0; i < squares.size() * kVocabulary; ++i)
    squares[i / kVocabulary] += (double{a[i]} - b[i]) * (double{a[i]} - b[i]) / kVocabulary;
  const auto middle = squares.begin() + static_cast<std::ptrdiff_t>(squares.size() / 2);
  std::nth_element(squares.begin(), middle, squares.end());
  return std::sqrt(*middle);
}

/// Quantised as the world's files are. Both sides round their activations, each in its own way, so the logits
/// that the weights mean are the yardstick: libllama's of the same weights as f32.
struct Quantised {
  const char* architecture;
  ggml_type weights;
};

class QuantisedTest : public ::testing::TestWithParam<Quantised> {};

testing::TinyModelOptions quantised_model(const Quantised& how) {
  testing::TinyModelOptions options;
  options.architecture = how.architecture;
  options.head_dim = 64;
  options.hidden = 256;
  options.feed_forward = 256;
  options.experts = 4;
  options.weights = how.weights;
  return options;
}

TEST_P(QuantisedTest, IsAsNearToWhatTheWeightsMeanAsLibllama) {
  const auto tokens = some_tokens();
  for (const bool tied : {false, true}) {
    testing::TinyModelOptions options = quantised_model(GetParam());
    options.tied = tied;
    const TinyModel model(options);
    options.dequantised = true;
    const TinyModel meant(options);
    const auto want = libllama_logits(meant.path(), tokens);
    const double theirs = rms_difference(libllama_logits(model.path(), tokens), want);
    const double ours = rms_difference(our_logits(model.path(), tokens, 61), want);
    EXPECT_LT(ours, 1.5 * theirs) << (tied ? "tied" : "with an output matrix");
  }
}

std::vector<Quantised> all_quantised() {
  std::vector<Quantised> all;
  for (const ggml_type type :
       {GGML_TYPE_Q4_0, GGML_TYPE_Q4_1, GGML_TYPE_Q5_0, GGML_TYPE_Q5_1, GGML_TYPE_Q8_0, GGML_TYPE_Q4_K,
        GGML_TYPE_Q5_K, GGML_TYPE_Q6_K, GGML_TYPE_IQ4_NL, GGML_TYPE_IQ4_XS}) {
    all.push_back({"qwen2", type});
    // Experts are only where our own products know the type.
    if (type != GGML_TYPE_Q5_1) all.push_back({"qwen3moe", type});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Types, QuantisedTest, ::testing::ValuesIn(all_quantised()), [](const auto& each) {
  return fmt::format("{}_{}", each.param.architecture, ggml_type_name(each.param.weights));
});

TEST(Experts, AnswerAlikeInAnyBatch) {
  const auto tokens = some_tokens();
  const TinyModel model(quantised_model({"qwen3moe", GGML_TYPE_Q4_K}));
  const auto together = our_logits(model.path(), tokens, kTokens);
  EXPECT_EQ(together, our_logits(model.path(), tokens, 1));
  EXPECT_EQ(together, our_logits(model.path(), tokens, 17));
}

TEST(Experts, OfATypeWithoutProductsAreRefusedAsAnotherKind) {
  const TinyModel model({.architecture = "qwen3moe"});
  const auto loaded = Transformer::load(model.path(), 1, {});
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, base::Code::kInvalidArgument);
  EXPECT_NE(loaded.error().message.find("blk.0.ffn_gate_exps.weight of type f32"), std::string::npos)
      << loaded.error().message;
}

TEST(Architectures, AMissingTensorIsNamed) {
  const TinyModel biased({.architecture = "qwen2", .leave_out_last_tensor = true});
  const auto loaded = Transformer::load(biased.path(), 1, {});
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("blk.1.attn_k.bias"), std::string::npos) << loaded.error().message;
}

TEST(Architectures, AnotherIsRefusedWithTheListOfOurs) {
  const TinyModel other({.architecture = "gpt2"});
  const auto loaded = Transformer::load(other.path(), 1, {});
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("supported: llama, qwen2, qwen3, qwen3moe, gemma3"),
            std::string::npos);
}

}  // namespace
}  // namespace pmt::model
