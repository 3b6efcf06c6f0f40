// What the tests of the scheduler's parts share: jobs with real sequences in a small pool, whose prompts are "read"
// without a model.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "inference/job_reports.h"
#include "kernels/page_layout.h"
#include "llm/sinks.h"
#include "model/hparams.h"
#include "model/testing/tiny_model.h"

namespace pmt::inference {

class JobFixture : public testing::Test {
 protected:
  /// 128 large pages, of which 32 tokens of a sequence take 4.
  static constexpr std::size_t kPoolBytes = std::size_t{2} << 20;

  void SetUp() override {
    hparams_.layers = 2;
    hparams_.kv_heads = 2;
    hparams_.head_dim = 128;
    hparams_.context_tokens = 4096;
    pool_ = std::move(*kv_cache::PagePool::create(kernels::f16_page_bytes(hparams_.head_dim), kPoolBytes));
    ASSERT_EQ(pool_->pages_max(), 128U);
    auto vocab = model::Vocab::load(file_.path());
    ASSERT_TRUE(vocab) << vocab.error().message;
    vocab_ = std::move(*vocab);
  }

  /// Job `id` of `tokens` prompt tokens, which begin like those of every job with the same `text`.
  std::unique_ptr<Job> job(const std::string& id, int tokens, int text = 0) {
    auto out = std::make_unique<Job>();
    out->id = id;
    for (int i = 0; i < tokens; ++i) out->prompt.push_back(3 + (text + i * 7) % 256);
    out->new_tokens_max = 8;
    sinks_.emplace_back(id, std::make_shared<llm::CollectingSink>());
    out->sink = std::make_shared<llm::GuardedSink>(sinks_.back().second, id);
    return out;
  }
  base::Status make_choices(Job& job) {
    TRY(add_choices(job, *vocab_, *pool_, hparams_.kv_shape()));
    job.prompt_shared = job.choices == 1;
    return {};
  }
  /// All that the job's choices have not read.
  static void read(Job& job) {
    for (PagedGeneration& choice : job.running) {
      const int pending = static_cast<int>(choice.pending().size());
      ASSERT_TRUE(choice.sequence().reserve(pending));
      choice.sequence().commit(pending);
    }
  }
  std::vector<llm::Event> events(const std::string& id) const {
    for (const auto& [each, sink] : sinks_) {
      if (each == id) return sink->so_far();
    }
    return {};
  }
  /// The code with which the job ended as Failed, its only terminal event; none: it hasn't.
  std::optional<base::Code> failure(const std::string& id) const {
    std::optional<base::Code> out;
    for (const llm::Event& event : events(id)) {
      EXPECT_FALSE(out.has_value()) << "nothing follows a terminal event";
      if (const auto* failed = std::get_if<llm::Failed>(&event)) out = failed->error.code;
    }
    return out;
  }

  const model::testing::TinyModel file_{{.tokenizer = true}};
  std::unique_ptr<model::Vocab> vocab_;
  model::Hparams hparams_;
  std::unique_ptr<kv_cache::PagePool> pool_;
  base::FakeClock clock_;
  LocalModelOptions options_;
  EngineCounters counters_;
  JobReports reports_{"tiny", clock_, counters_};
  std::vector<std::pair<std::string, std::shared_ptr<llm::CollectingSink>>> sinks_;
};

}  // namespace pmt::inference
