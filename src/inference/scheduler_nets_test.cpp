// An exception on the scheduler's thread ends one request: whatever throws, wherever, the others get the
// answers that they would have got, the pages are free again, and the model is of use.
//
// On a tiny random model, with a clock and sinks that throw.
#include <algorithm>
#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "base/guard.h"
#include "inference/local_model.h"
#include "llm/sinks.h"
#include "model/testing/tiny_model.h"

namespace pmt::inference {
namespace {

/// Throws at one of its next calls, on any thread but the one that made it.
class BadClock final : public base::Clock {
 public:
  base::Nanos now() const override {
    if (std::this_thread::get_id() != owner_ && left_ > 0 && --left_ < times_)
      throw std::runtime_error("no time");
    return good_.now();
  }
  std::int64_t unix_seconds() const override { return good_.unix_seconds(); }
  /// From the `nth` call on, `times` times.
  void throw_at(int nth, int times) {
    times_ = times;
    left_ = nth - 1 + times;
  }

 private:
  const base::SystemClock good_;
  const std::thread::id owner_ = std::this_thread::get_id();
  mutable std::atomic<int> left_{0};
  std::atomic<int> times_{0};
};

/// Keeps the events, and throws at one of them.
class BadSink final : public llm::Sink {
 public:
  explicit BadSink(int throws_at) : throws_at_(throws_at) {}
  void on_event(llm::Event&& event) override {
    const bool throws = count_++ == throws_at_;
    good.on_event(throws && llm::is_terminal(event) ? llm::Started{} : event);
    if (throws) throw std::runtime_error("can't be told");
  }
  llm::CollectingSink good;

 private:
  const int throws_at_;
  int count_ = 0;
};

class SchedulerNets : public testing::Test {
 protected:
  void SetUp() override {
    file_ = std::make_unique<model::testing::TinyModel>(model::testing::TinyModelOptions{
        .head_dim = 16, .layers = 2, .heads = 4, .kv_heads = 2, .context_tokens = 256, .tokenizer = true});
    LocalModelOptions options;
    options.name = "tiny";
    options.path = file_->path();
    options.threads = 1;
    options.kv_bytes_max = std::size_t{8} << 20;
    options.prefix_bytes_max = 0;
    options.prefill_chunk_tokens = 32;
    auto loaded = LocalModel::load(options, clock_);
    ASSERT_TRUE(loaded) << loaded.error().message;
    model_ = std::move(*loaded);
    for (int i = 0; i < kTogether; ++i) expected_.push_back(text_of(ask(i)->wait()));
  }

  static llm::Request request(int which) {
    llm::Request out;
    out.id = "req_" + std::to_string(which);
    out.endpoint = llm::Endpoint::kCompletions;
    for (int i = 0; i < 50 + 20 * which; ++i) out.prompt_tokens.push_back(3 + (i * 7 + which) % 256);
    out.max_tokens = 12;
    out.n = 1 + which % 2;
    out.sampling.temperature = 0;
    return out;
  }
  std::shared_ptr<llm::CollectingSink> ask(int which) {
    auto sink = std::make_shared<llm::CollectingSink>();
    model_->start(request(which), sink, {});
    return sink;
  }

  /// Asks all at once. Returns how many failed; checks the others' answers.
  int failures() {
    std::vector<std::shared_ptr<llm::CollectingSink>> sinks;
    for (int i = 0; i < kTogether; ++i) sinks.push_back(ask(i));
    int failed = 0;
    for (int i = 0; i < kTogether; ++i) {
      const auto events = sinks[static_cast<std::size_t>(i)]->wait();
      EXPECT_EQ(std::count_if(events.begin(), events.end(), llm::is_terminal), 1);
      if (const auto* bad = std::get_if<llm::Failed>(&events.back())) {
        ++failed;
        EXPECT_EQ(bad->error.code, base::Code::kInternal);
        EXPECT_NE(bad->error.message.find("req_" + std::to_string(i)), std::string::npos)
            << bad->error.message;
      } else {
        EXPECT_EQ(text_of(events), expected_[static_cast<std::size_t>(i)]);
      }
    }
    return failed;
  }
  void expect_all_free() {
    while (model_->stats().running > 0) std::this_thread::yield();
    EXPECT_EQ(model_->kv_stats().pages_used, 0);
    EXPECT_EQ(model_->stats().waiting, 0);
    EXPECT_EQ(failures(), 0);
  }

  static constexpr int kTogether = 3;
  BadClock clock_;
  std::unique_ptr<model::testing::TinyModel> file_;
  std::unique_ptr<LocalModel> model_;
  std::vector<std::string> expected_;
};

TEST_F(SchedulerNets, OneExceptionAnywhereEndsOneRequestAtMost) {
  const auto before = base::exceptions_caught(base::Thread::kScheduler);
  for (int nth = 1; nth <= 40; ++nth) {
    clock_.throw_at(nth, 1);
    EXPECT_LE(failures(), 1) << "thrown at call " << nth;
    clock_.throw_at(1, 0);
  }
  EXPECT_GT(base::exceptions_caught(base::Thread::kScheduler), before + 20);
  expect_all_free();
}

TEST_F(SchedulerNets, ManyExceptionsEndRequestsAndNothingElse) {
  for (const int times : {2, 3, 10, 60}) {
    clock_.throw_at(4, times);
    (void)failures();
    clock_.throw_at(1, 0);
  }
  expect_all_free();
}

TEST_F(SchedulerNets, ASinkThatThrowsLosesItsOwnAnswer) {
  for (int at = 0; at < 8; ++at) {
    const auto bad = std::make_shared<BadSink>(at);
    model_->start(request(1), bad, {});
    EXPECT_EQ(failures(), 0) << "of the others";
    const auto events = bad->good.wait();
    const auto* failed = std::get_if<llm::Failed>(&events.back());
    ASSERT_NE(failed, nullptr) << at;
    EXPECT_NE(failed->error.message.find("req_1"), std::string::npos);
  }
  expect_all_free();
}

}  // namespace
}  // namespace pmt::inference
