// What holds of every model that libllama runs, on one tiny model.
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "inference/libllama/llama_reference.h"
#include "inference/local_model.h"
#include "llm/sinks.h"
#include "model/testing/tiny_family.h"
#include "model/testing/tiny_model.h"

namespace pmt::inference {
namespace {

using model::testing::TinyFamily;

const base::SystemClock kClock;

class LlamaRuntimeTest : public testing::Test {
 protected:
  LocalModelOptions options() const {
    LocalModelOptions out;
    out.name = "tiny";
    out.path = file_.path();
    out.threads = 1;
    out.runtime = RuntimeChoice::kLibllama;
    out.kv_bytes_max = std::size_t{64} << 20;
    return out;
  }
  static std::unique_ptr<LocalModel> load(LocalModelOptions options) {
    auto loaded = LocalModel::load(std::move(options), kClock);
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded ? std::move(*loaded) : nullptr;
  }
  static llm::Request text(int prompt_tokens, int max_tokens, int first = 0) {
    llm::Request request;
    request.id = "test";
    request.endpoint = llm::Endpoint::kCompletions;
    for (int i = 0; i < prompt_tokens; ++i)
      request.prompt_tokens.push_back(3 + (first + i * 7 + i * i % 11) % 256);
    request.sampling.temperature = 0;
    request.max_tokens = max_tokens;
    request.ignore_eos = true;
    request.logprobs = 0;
    return request;
  }
  static std::shared_ptr<llm::CollectingSink> start(LocalModel& model, llm::Request request,
                                                    const base::CancelToken& cancel = {}) {
    auto sink = std::make_shared<llm::CollectingSink>();
    model.start(std::move(request), sink, cancel);
    return sink;
  }
  static std::vector<std::string> tokens_of(llm::CollectingSink& sink, int choice = 0) {
    std::vector<std::string> out;
    for (const llm::Event& event : sink.wait()) {
      const auto* delta = std::get_if<llm::Delta>(&event);
      if (delta == nullptr || delta->choice != choice) continue;
      for (const auto& each : delta->logprobs) out.push_back(each.token);
    }
    return out;
  }
  static base::Error error_of(llm::CollectingSink& sink) {
    const auto events = sink.wait();
    const auto* failed = std::get_if<llm::Failed>(&events.back());
    return failed != nullptr ? failed->error : base::Error{base::Code::kInternal, "it did not fail"};
  }
  static llm::KvReport kv_of(llm::CollectingSink& sink) {
    const auto events = sink.wait();
    const auto* done = std::get_if<llm::Done>(&events.back());
    EXPECT_NE(done, nullptr) << error_of(sink).message;
    return done != nullptr ? *done->report.kv : llm::KvReport{};
  }
  std::vector<std::string> reference(const LocalModel& model, const llm::Request& request) const {
    std::vector<std::string> out;
    for (const std::int32_t token :
         LlamaReference(file_.path()).greedy(request.prompt_tokens, *request.max_tokens))
      out.push_back(*model.piece_of(token));
    return out;
  }

  const TinyFamily file_{{.architecture = "llama"}};
};

TEST_F(LlamaRuntimeTest, OurGraphRunsItUnlessTheChoiceIsLibllama) {
  const model::testing::TinyModel ours({.tokenizer = true});
  LocalModelOptions by_default = options();
  by_default.path = ours.path();
  by_default.runtime = RuntimeChoice::kAuto;
  EXPECT_EQ(load(by_default)->info().runs_elsewhere, "");
  const auto forced = load(options());
  EXPECT_EQ(forced->info().runs_elsewhere, "architecture llama runs through libllama");
  EXPECT_EQ(forced->info().cell_type, "f16");
  EXPECT_EQ(forced->info().context_tokens, 256);
  EXPECT_EQ(forced->calibration().state, CalibrationStatus::State::kNone);
}

TEST_F(LlamaRuntimeTest, OnlyOursMeansAnErrorForOthers) {
  const TinyFamily other({.architecture = "gpt2"});
  LocalModelOptions own = options();
  own.path = other.path();
  own.runtime = RuntimeChoice::kOwn;
  const auto refused = LocalModel::load(own, kClock);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("supported: llama"), std::string::npos) << refused.error().message;
}

TEST_F(LlamaRuntimeTest, ADamagedFileOfOursIsCalledDamagedAndNotGivenToLibllama) {
  const model::testing::TinyModel ours({.tokenizer = true});
  LocalModelOptions by_default = options();
  by_default.path = ours.path();
  by_default.runtime = RuntimeChoice::kAuto;
  std::filesystem::resize_file(ours.path(), std::filesystem::file_size(ours.path()) / 2);
  const auto refused = LocalModel::load(by_default, kClock);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::Code::kCorrupt);
  EXPECT_NE(refused.error().message.find("truncated"), std::string::npos) << refused.error().message;
  EXPECT_EQ(refused.error().message.find("libllama"), std::string::npos) << refused.error().message;
}

TEST_F(LlamaRuntimeTest, AModelThatOnlyReadsIsRefusedWithItsPlace) {
  const TinyFamily reads({.architecture = "modern-bert"});
  LocalModelOptions of_bert = options();
  of_bert.path = reads.path();
  of_bert.runtime = RuntimeChoice::kAuto;
  const auto refused = LocalModel::load(of_bert, kClock);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("[embeddings]"), std::string::npos) << refused.error().message;
}

TEST_F(LlamaRuntimeTest, AnswerSaysThatCompressionIsOff) {
  const auto model = load(options());
  const llm::KvReport kv = kv_of(*start(*model, text(40, 8)));
  EXPECT_EQ(kv.mode, "exact");
  EXPECT_EQ(kv.compression_off, "architecture llama runs through libllama");
  EXPECT_EQ(kv.cells, "f16");
  EXPECT_EQ(kv.ratio_achieved, 1);
  EXPECT_EQ(kv.tokens_total, 47);                           // the last token is never read
  EXPECT_EQ(kv.bytes, std::int64_t{47} * 2 * 2 * 256 * 2);  // layers, keys and values, hidden, f16
}

TEST_F(LlamaRuntimeTest, ARatioIsRefusedUnlessLessWillDo) {
  const auto model = load(options());
  llm::Request request = text(40, 8);
  request.kv.ratio = 8;
  const base::Error refused = error_of(*start(*model, request));
  EXPECT_EQ(refused.code, base::Code::kInvalidArgument);
  EXPECT_EQ(refused.field, "permutation.kv.ratio");
  EXPECT_NE(refused.message.find("architecture llama runs through libllama"), std::string::npos);
  EXPECT_NE(refused.message.find("best_effort"), std::string::npos);
  request.kv.mode = llm::KvMode::kExact;  // then a ratio means nothing
  EXPECT_EQ(kv_of(*start(*model, request)).mode, "exact");
}

TEST_F(LlamaRuntimeTest, BestEffortServesInSmallerCells) {
  const auto model = load(options());
  const std::map<double, std::string> wanted{{1, "f16"}, {2, "q8_0"}, {8, "q4_0"}};
  for (const auto& [ratio, cells] : wanted) {
    llm::Request request = text(40, 8);
    request.kv = {.ratio = ratio, .best_effort = true};
    const llm::KvReport kv = kv_of(*start(*model, request));
    EXPECT_EQ(kv.cells, cells);
    EXPECT_EQ(kv.mode, ratio == 1 ? "exact" : cells);
    EXPECT_EQ(kv.ratio_target, ratio);
    const double achieved = cells == "f16" ? 1 : cells == "q8_0" ? 64.0 / 34 : 64.0 / 18;
    EXPECT_NEAR(kv.ratio_achieved, achieved, 0.01);
  }
}

TEST_F(LlamaRuntimeTest, TheConfiguredTypeServesEveryRequest) {
  LocalModelOptions smaller = options();
  smaller.cell_type = CellType::kQ8_0;
  const auto model = load(smaller);
  const llm::KvReport kv = kv_of(*start(*model, text(40, 8)));
  EXPECT_EQ(kv.cells, "q8_0");
  EXPECT_NEAR(kv.ratio_achieved, 64.0 / 34, 0.01);
}

TEST_F(LlamaRuntimeTest, WhatDoesNotFitIsSaidBeforeItRuns) {
  const auto model = load(options());
  EXPECT_EQ(error_of(*start(*model, text(300, 8))).code, base::Code::kTooLarge);
  llm::Request many = text(10, 2);
  many.n = 100;
  const base::Error refused = error_of(*start(*model, many));
  EXPECT_EQ(refused.code, base::Code::kTooLarge);
  EXPECT_EQ(refused.field, "n");
}

/// 512 cells for four requests of 220 tokens each: the youngest gives way and reads its tokens again.
TEST_F(LlamaRuntimeTest, WhereCellsRunOutAllAnswersAreStillTheirOwn) {
  LocalModelOptions tight = options();
  tight.kv_bytes_max = std::size_t{512} * 2 * 2 * 256 * 2;
  const auto model = load(tight);
  std::vector<llm::Request> requests;
  std::vector<std::shared_ptr<llm::CollectingSink>> sinks;
  for (int i = 0; i < 4; ++i) requests.push_back(text(120, 100, 31 * i));
  for (const auto& request : requests) sinks.push_back(start(*model, request));
  for (std::size_t i = 0; i < sinks.size(); ++i)
    EXPECT_EQ(tokens_of(*sinks[i]), reference(*model, requests[i]));
  EXPECT_EQ(model->stats().completed, 4U);
  EXPECT_EQ(model->stats().running, 0);
  EXPECT_EQ(model->stats().waiting, 0);
}

TEST_F(LlamaRuntimeTest, ACancelledRequestLeavesItsCells) {
  LocalModelOptions plain = options();
  plain.prefix_bytes_max = 0;
  const auto model = load(plain);
  const base::CancelToken cancel;
  const auto sink = start(*model, text(100, 150), cancel);
  const auto other = start(*model, text(30, 20, 5));
  cancel.cancel();
  sink->wait();
  EXPECT_EQ(tokens_of(*other), reference(*model, text(30, 20, 5)));
  EXPECT_EQ(model->kv_stats().bytes, 0);
  EXPECT_EQ(model->kv_stats().sequences, 0);
}

TEST_F(LlamaRuntimeTest, APromptThatBeginsAlikeIsReadOnce) {
  const auto model = load(options());
  llm::Request first = text(100, 4);
  start(*model, first)->wait();
  llm::Request second = text(100, 4);
  second.prompt_tokens.resize(80);
  second.prompt_tokens.push_back(5);
  const auto sink = start(*model, second);
  EXPECT_EQ(tokens_of(*sink), reference(*model, second));
  EXPECT_EQ(kv_of(*sink).prefix_tokens_reused, 80);
  llm::Request of_another = second;
  of_another.tenant = "another";
  EXPECT_EQ(kv_of(*start(*model, of_another)).prefix_tokens_reused, 0);
  EXPECT_EQ(model->stats().prefix_hits, 1U);
  EXPECT_EQ(model->stats().prefix_tokens, 80U);
}

TEST_F(LlamaRuntimeTest, AnEchoedPromptHasLogprobsOfItsTokens) {
  const auto model = load(options());
  llm::Request request = text(60, 3);
  request.echo = true;
  const auto sink = start(*model, request);
  const auto tokens = tokens_of(*sink);
  EXPECT_EQ(tokens.size(), 63U);
}

TEST_F(LlamaRuntimeTest, ASeedWritesTheSameAgainDrawnOrGreedy) {
  const auto model = load(options());
  for (const float temperature : {0.0F, 1.0F}) {
    llm::Request request = text(20, 20);
    request.sampling.temperature = temperature;
    request.sampling.seed = 7;
    const auto once = tokens_of(*start(*model, request));
    start(*model, text(30, 8))->wait();  // begins alike, and is kept
    const auto again = start(*model, request);
    EXPECT_EQ(tokens_of(*again), once) << temperature;
    EXPECT_EQ(kv_of(*again).prefix_tokens_reused, 0) << temperature;
    request.sampling.seed = 8;
    EXPECT_EQ(tokens_of(*start(*model, request)) == once, temperature == 0) << "another seed";
  }
}

}  // namespace
}  // namespace pmt::inference
