// Tiny models of many families through libllama: batched with others, each answer is libllama's own.
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "inference/libllama/llama_reference.h"
#include "inference/local_model.h"
#include "llm/sinks.h"
#include "model/testing/tiny_family.h"

namespace pmt::inference {
namespace {

using model::testing::TinyFamily;
using model::testing::TinyFamilyOptions;

constexpr int kAnswerTokens = 12;
const base::SystemClock kClock;

base::Result<std::unique_ptr<LocalModel>> load(const std::string& path) {
  LocalModelOptions options;
  options.name = "tiny";
  options.path = path;
  options.threads = 1;
  options.kv_bytes_max = std::size_t{64} << 20;
  return LocalModel::load(std::move(options), kClock);
}

std::vector<std::int32_t> some_tokens(unsigned seed, int count) {
  std::mt19937 rng(seed);
  std::vector<std::int32_t> tokens{1};
  while (static_cast<int>(tokens.size()) < count)
    tokens.push_back(static_cast<std::int32_t>(3 + rng() % 256));
  return tokens;
}

llm::Request text_request(std::vector<std::int32_t> prompt, int max_tokens) {
  llm::Request request;
  request.id = "test";
  request.endpoint = llm::Endpoint::kCompletions;
  request.prompt_tokens = std::move(prompt);
  request.sampling.temperature = 0;
  request.max_tokens = max_tokens;
  request.ignore_eos = true;
  request.logprobs = 0;
  return request;
}

std::shared_ptr<llm::CollectingSink> start(LocalModel& model, llm::Request request) {
  auto sink = std::make_shared<llm::CollectingSink>();
  model.start(std::move(request), sink, {});
  return sink;
}

/// The names of the answer's tokens.
std::vector<std::string> tokens_of(llm::CollectingSink& sink) {
  std::vector<std::string> out;
  for (const llm::Event& event : sink.wait()) {
    if (const auto* failed = std::get_if<llm::Failed>(&event)) ADD_FAILURE() << failed->error.message;
    if (const auto* delta = std::get_if<llm::Delta>(&event)) {
      for (const llm::TokenLogprob& each : delta->logprobs) out.push_back(each.token);
    }
  }
  return out;
}

std::vector<std::string> names_of(const LocalModel& model, const std::vector<std::int32_t>& tokens) {
  std::vector<std::string> out;
  for (const std::int32_t token : tokens) out.push_back(*model.piece_of(token));
  return out;
}

class FamilyTest : public testing::TestWithParam<TinyFamilyOptions> {};

TEST_P(FamilyTest, AnswersAsLibllamaDoesAloneAndBesideOthers) {
  const TinyFamily file(GetParam());
  auto loaded = load(file.path());
  ASSERT_TRUE(loaded) << loaded.error().message;
  LocalModel& model = **loaded;
  EXPECT_EQ(model.info().runs_elsewhere,
            "architecture " + GetParam().architecture + " runs through libllama");
  const LlamaReference reference(file.path());
  // Longer than the window, and of several lengths, so that prompts and answers meet in one batch.
  std::vector<std::vector<std::int32_t>> prompts;
  for (unsigned i = 0; i < 4; ++i) prompts.push_back(some_tokens(i, 40 + 7 * static_cast<int>(i)));
  std::vector<std::vector<std::string>> wanted;
  for (const auto& prompt : prompts)
    wanted.push_back(names_of(model, reference.greedy(prompt, kAnswerTokens)));
  EXPECT_EQ(tokens_of(*start(model, text_request(prompts[0], kAnswerTokens))), wanted[0]);
  std::vector<std::shared_ptr<llm::CollectingSink>> sinks;
  for (const auto& prompt : prompts) sinks.push_back(start(model, text_request(prompt, kAnswerTokens)));
  for (std::size_t i = 0; i < sinks.size(); ++i) EXPECT_EQ(tokens_of(*sinks[i]), wanted[i]) << "prompt " << i;
}

TEST_P(FamilyTest, GoesOnFromWhatWasReadAndPartsWhereAPromptEnds) {
  const TinyFamily file(GetParam());
  auto loaded = load(file.path());
  ASSERT_TRUE(loaded) << loaded.error().message;
  LocalModel& model = **loaded;
  const LlamaReference reference(file.path());
  std::vector<std::int32_t> prompt = some_tokens(9, 50);
  std::vector<std::int32_t> answer = reference.greedy(prompt, kAnswerTokens);
  EXPECT_EQ(tokens_of(*start(model, text_request(prompt, kAnswerTokens))), names_of(model, answer));
  // The next turn: the last token of an answer was never read.
  prompt.insert(prompt.end(), answer.begin(), answer.end());
  prompt.push_back(77);
  llm::Request next = text_request(prompt, kAnswerTokens);
  next.n = 2;
  const auto sink = start(model, std::move(next));
  auto wanted = names_of(model, reference.greedy(prompt, kAnswerTokens));
  std::vector<std::string> said[2];
  for (const llm::Event& event : sink->wait()) {
    if (const auto* delta = std::get_if<llm::Delta>(&event)) {
      for (const auto& each : delta->logprobs) said[delta->choice].push_back(each.token);
    }
  }
  EXPECT_EQ(said[0], wanted);
  EXPECT_EQ(said[1], wanted);
  const auto* const done = std::get_if<llm::Done>(&sink->so_far().back());
  ASSERT_NE(done, nullptr);
  EXPECT_EQ(done->report.kv->prefix_tokens_reused, static_cast<int>(prompt.size()) - 2);
  EXPECT_EQ(done->usage.completion_tokens, 2 * kAnswerTokens);
}

INSTANTIATE_TEST_SUITE_P(
    Families, FamilyTest,
    testing::Values(TinyFamilyOptions{.architecture = "gpt2"}, TinyFamilyOptions{.architecture = "gptneox"},
                    TinyFamilyOptions{.architecture = "falcon"}, TinyFamilyOptions{.architecture = "bloom"},
                    TinyFamilyOptions{.architecture = "starcoder2", .tokenizer = "plamo2"},
                    TinyFamilyOptions{.architecture = "phi3"}, TinyFamilyOptions{.architecture = "stablelm"},
                    TinyFamilyOptions{.architecture = "gemma2"}, TinyFamilyOptions{.architecture = "cohere2"},
                    TinyFamilyOptions{.architecture = "gpt-oss", .experts = true},
                    TinyFamilyOptions{.architecture = "olmoe", .experts = true},
                    TinyFamilyOptions{.architecture = "qwen2moe", .experts = true},
                    TinyFamilyOptions{.architecture = "qwen3moe", .experts = true},
                    TinyFamilyOptions{.architecture = "deepseek2", .experts = true, .latent = true},
                    TinyFamilyOptions{.architecture = "mamba"}, TinyFamilyOptions{.architecture = "mamba2"},
                    TinyFamilyOptions{.architecture = "rwkv6", .tokenizer = "rwkv"},
                    TinyFamilyOptions{.architecture = "falcon-h1"},
                    TinyFamilyOptions{.architecture = "granitehybrid", .states_between = true},
                    TinyFamilyOptions{.architecture = "lfm2", .states_between = true},
                    TinyFamilyOptions{.architecture = "qwen3next", .experts = true}),
    [](const auto& each) {
      std::string name = each.param.architecture;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

}  // namespace
}  // namespace pmt::inference
