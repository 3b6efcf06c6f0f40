// A host with whole models of random weights: each answers as it does alone, whoever came and went meanwhile.
#include "engine/model_host.h"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "engine/on_demand_completer.h"
#include "engine/test_home.h"
#include "inference/memory_fit.h"
#include "llm/sinks.h"
#include "model/testing/tiny_model.h"

namespace pmt::engine {
namespace {

namespace fs = std::filesystem;
using model::testing::TinyModel;
using ::testing::HasSubstr;

constexpr std::int64_t kPoolBytes = std::int64_t{8} << 20;

llm::Request asked(int max_tokens = 6) {
  llm::Request request;
  request.id = "r";
  request.endpoint = llm::Endpoint::kCompletions;
  request.prompt = "hi";
  request.max_tokens = max_tokens;
  request.ignore_eos = true;
  request.sampling.temperature = 0;
  return request;
}

struct Answer {
  std::string text;
  std::optional<base::Error> error;
  bool transient = false;
};

Answer answer_of(const std::vector<llm::Event>& events) {
  Answer out{.text = llm::text_of(events)};
  if (const auto* failed = std::get_if<llm::Failed>(&events.back())) out.error = failed->error;
  if (const auto* done = std::get_if<llm::Done>(&events.back())) out.transient = done->transient;
  return out;
}

class ModelHostTest : public TestHome {
 protected:
  void SetUp() override {
    TestHome::SetUp();
    for (int i = 0; i < 5; ++i) write(i, i);
  }
  void TearDown() override {
    host_.reset();
    TestHome::TearDown();
  }

  static std::string name(int i) { return fmt::format("m{}", i); }
  std::string path(int i) const { return (home_ / (name(i) + ".gguf")).string(); }
  /// Models of different numbers say different things.
  void write(int i, int content) const {
    const TinyModel file({.feed_forward = 96 + 32 * content, .tokenizer = true});
    fs::copy_file(file.path(), path(i) + ".new");
    fs::rename(path(i) + ".new", path(i));
  }
  static std::int64_t bytes_each() { return inference::kWorkingBytes + kPoolBytes + (std::int64_t{2} << 20); }

  inference::LocalModelOptions options_of(int i) const {
    inference::LocalModelOptions options;
    options.name = name(i);
    options.path = path(i);
    options.threads = 1;
    options.kv_bytes_max = kPoolBytes;
    return options;
  }
  /// So many fit at once.
  void open(int at_once, ModelHostOptions options = {}) {
    options.bytes_max = at_once * bytes_each();
    options.on_warning = [this](const std::string& text) {
      const std::lock_guard lock(told_mutex_);
      told_ += text + "\n";
    };
    for (int i = 0; i < 5; ++i) options.models.push_back(options_of(i));
    host_ = std::make_unique<ModelHost>(std::move(options), clock_);
  }
  std::shared_ptr<llm::CollectingSink> start(int i, llm::Request request = asked(),
                                             const base::CancelToken& cancel = {}) {
    auto sink = std::make_shared<llm::CollectingSink>();
    OnDemandCompleter(*host_, name(i), clock_).start(std::move(request), sink, cancel);
    return sink;
  }
  Answer ask(int i, llm::Request request = asked()) {
    return answer_of(start(i, std::move(request))->wait());
  }
  std::string alone(int content) const {
    write(9, content);
    auto options = options_of(9);
    auto model = inference::LocalModel::load(options, clock_);
    EXPECT_TRUE(model) << model.error().message;
    auto sink = std::make_shared<llm::CollectingSink>();
    (*model)->start(asked(), sink, {});
    return llm::text_of(sink->wait());
  }
  ModelState state(int i) const { return host_->status(name(i)).state; }
  void until(const std::function<bool()>& condition) const {
    for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_TRUE(condition());
  }
  std::string told() {
    const std::lock_guard lock(told_mutex_);
    return told_;
  }

  const base::SystemClock clock_;
  std::mutex told_mutex_;
  std::string told_;
  std::unique_ptr<ModelHost> host_;
};

TEST_F(ModelHostTest, TheFirstRequestLoadsAndIsAnsweredAsByTheModelAlone) {
  open(5);
  EXPECT_EQ(state(1), ModelState::kUnloaded);
  EXPECT_EQ(host_->status("m1").header->architecture, "llama");
  EXPECT_FALSE(host_->loaded("m1"));
  const Answer got = ask(1);
  EXPECT_FALSE(got.error);
  EXPECT_EQ(got.text, alone(1));
  EXPECT_NE(got.text, alone(2)) << "or the test shows nothing";
  EXPECT_FALSE(got.transient);
  until([this] { return host_->status("m1").running == 0; });
  const ModelStatus status = host_->status("m1");
  EXPECT_EQ(status.state, ModelState::kReady);
  EXPECT_GT(status.bytes, fs::file_size(path(1)) - 1);
  EXPECT_TRUE(status.last_used_unix_s);
  EXPECT_EQ(status.loads, 1U);
  EXPECT_EQ(host_->memory().bytes_reserved, status.bytes_reserved);
  EXPECT_EQ(host_->totals("m1").completed, 1U);
}

TEST_F(ModelHostTest, TheLeastRecentlyUsedGivesWay) {
  open(2);
  ask(0);
  ask(1);
  ask(0);
  ask(2);
  EXPECT_EQ(state(0), ModelState::kReady);
  EXPECT_EQ(state(1), ModelState::kUnloaded);
  EXPECT_EQ(state(2), ModelState::kReady);
  EXPECT_EQ(host_->status("m1").unloads, 1U);
  EXPECT_EQ(host_->totals("m1").completed, 1U) << "counted on, though it is gone";
}

TEST_F(ModelHostTest, BusyOnesAreWaitedForAndGetNoNewRequests) {
  open(2);
  auto zero = host_->lend_now("m0"), one = host_->lend_now("m1");
  ASSERT_TRUE(zero && one);
  const auto third = start(2);
  until([this] { return state(0) == ModelState::kUnloading; });
  EXPECT_THAT(host_->doing("m2"), HasSubstr("waits for memory"));
  const auto late = start(0);  // behind the one that came before it
  const Answer beside = ask(1);
  EXPECT_FALSE(beside.error) << "the other one serves on";
  EXPECT_EQ(state(2), ModelState::kWaiting);
  zero->model = nullptr;
  EXPECT_EQ(answer_of(third->wait()).text, alone(2));
  one->model = nullptr;
  EXPECT_EQ(answer_of(late->wait()).text, alone(0));
}

TEST_F(ModelHostTest, WhoWaitsMayLeave) {
  open(1);
  auto busy = host_->lend_now("m0");
  ASSERT_TRUE(busy);
  const base::CancelToken cancel;
  const auto sink = start(1, asked(), cancel);
  until([this] { return state(1) == ModelState::kWaiting; });
  cancel.cancel();
  EXPECT_EQ(answer_of(sink->wait()).error->code, base::Code::kCancelled);
  EXPECT_EQ(state(1), ModelState::kUnloaded);
  EXPECT_FALSE(ask(0).error) << "nobody needs its room any more";
  EXPECT_EQ(host_->status("m1").loads, 0U);
}

TEST_F(ModelHostTest, AWaitEndsWhereItsTimeIsUp) {
  open(1);
  auto busy = host_->lend_now("m0");
  llm::Request request = asked();
  request.budget.seconds = 0.05;
  const Answer late = ask(1, request);
  ASSERT_TRUE(late.error);
  EXPECT_EQ(late.error->code, base::Code::kDeadline);
}

TEST_F(ModelHostTest, OnlySoManyWait) {
  ModelHostOptions options;
  options.models.push_back(options_of(0));
  options.models.back().name = "short";
  options.models.back().queue_max = 1;
  open(1, std::move(options));
  auto busy = host_->lend_now("m0");
  const base::CancelToken cancel;
  std::optional<base::Code> refused;
  host_->lend("short", {.cancel = cancel}, [](const auto&) {});
  host_->lend("short", {}, [&](const auto& lease) { refused = lease.error().code; });
  EXPECT_EQ(refused, base::Code::kUnavailable);
  cancel.cancel();
}

TEST_F(ModelHostTest, WhatNobodyAsksForIsUnloaded) {
  open(5, {.idle_s = 0.05});
  ask(0);
  until([this] { return state(0) == ModelState::kUnloaded; });
  EXPECT_EQ(host_->memory().bytes_reserved, 0);
  EXPECT_EQ(ask(0).text, alone(0));
}

TEST_F(ModelHostTest, AFailedLoadSaysWhyAndWhenItIsTriedAgain) {
  std::ofstream(path(3)) << "GGUF, but no more";
  open(5, {.retry_s = 30});
  EXPECT_EQ(state(3), ModelState::kFailed);
  const Answer refused = ask(3);
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, base::Code::kUnavailable);
  EXPECT_THAT(refused.error->message, HasSubstr("damaged"));
  EXPECT_NEAR(refused.error->retry_after_s, 30, 5);
  EXPECT_EQ(host_->status("m3").load_failures, 0U) << "not tried";
  EXPECT_FALSE(ask(4).error) << "the others serve on";

  const auto tried = std::make_shared<std::promise<base::Code>>();
  host_->lend("m3", {.at_once = true}, [tried](const auto& lease) { tried->set_value(lease.error().code); });
  EXPECT_EQ(tried->get_future().get(), base::Code::kUnavailable);
  EXPECT_NEAR(host_->status("m3").retry_s, 60, 5) << "twice as long";

  write(3, 2);
  EXPECT_EQ(ask(3).text, alone(2)) << "a changed file is tried at once";
  EXPECT_EQ(state(3), ModelState::kReady);
}

TEST_F(ModelHostTest, EachKindOfBadFileIsNamed) {
  std::ofstream(path(0)) << "no model at all";
  fs::resize_file(path(1), fs::file_size(path(1)) / 2);
  {
    std::fstream newer(path(2), std::ios::in | std::ios::out | std::ios::binary);
    newer.seekp(4);
    newer.put(4);
  }
  const TinyModel bare({});
  fs::copy_file(bare.path(), path(3), fs::copy_options::overwrite_existing);
  fs::remove(path(4));
  open(5);
  const auto error = [this](int i) { return host_->status(name(i)).error; };
  EXPECT_THAT(error(0), HasSubstr("magic"));
  EXPECT_THAT(error(1), HasSubstr("fetch it again"));
  EXPECT_THAT(error(2), HasSubstr("take a newer release"));
  EXPECT_THAT(error(3), HasSubstr("has no tokenizer"));
  EXPECT_THAT(error(4), HasSubstr("No such file"));
  for (int i = 0; i < 5; ++i) EXPECT_EQ(ask(i).error->code, base::Code::kUnavailable);
}

TEST_F(ModelHostTest, OneThatNeverFitsIsRefusedAndNobodyGoesForIt) {
  fs::remove(path(1));
  open(1);
  ask(0);
  std::ofstream(path(1)).close();
  fs::resize_file(path(1), std::uintmax_t{1} << 30);  // a hole
  const Answer refused = ask(1);
  ASSERT_TRUE(refused.error);
  EXPECT_THAT(refused.error->message, HasSubstr("MiB short"));
  EXPECT_THAT(refused.error->message, HasSubstr("memory_bytes"));
  EXPECT_EQ(state(0), ModelState::kReady);
}

TEST_F(ModelHostTest, AReplacedFileIsNoticedAndNothingIsMixedUp) {
  open(2);
  const std::string before = host_->file_version("m0");
  auto running = host_->lend_now("m0");
  ASSERT_TRUE(running);
  write(0, 4);
  EXPECT_NE(host_->file_version("m0"), before);
  llm::Request old_key = asked();
  old_key.options.set(FileVersion{before});
  const Answer mixed = ask(0, old_key);
  EXPECT_EQ(mixed.text, alone(4)) << "the new file answers beside what still runs on the old one";
  EXPECT_TRUE(mixed.transient) << "its key names the old file";
  llm::Request new_key = asked();
  new_key.options.set(FileVersion{host_->file_version("m0")});
  EXPECT_FALSE(ask(0, new_key).transient);
  EXPECT_THAT(told(), HasSubstr("m0: its file"));
  EXPECT_TRUE(host_->status("m0").replaced_unix_s);
  EXPECT_EQ(running->file.text(), before);
  running->model = nullptr;
  until([this] { return host_->status("m0").unloads == 1; });
}

TEST_F(ModelHostTest, ABusyOneIsNotUnloaded) {
  open(5);
  auto busy = host_->lend_now("m0");
  std::promise<base::Status> first, second;
  host_->unload("m0", [&](base::Status done) { first.set_value(std::move(done)); });
  EXPECT_EQ(first.get_future().get().error().code, base::Code::kConflict);
  busy->model = nullptr;
  host_->unload("m0", [&](base::Status done) { second.set_value(std::move(done)); });
  EXPECT_TRUE(second.get_future().get());
  EXPECT_EQ(state(0), ModelState::kUnloaded);
}

TEST_F(ModelHostTest, TheEndTellsWhoRunsAndWhoWaits) {
  open(1);
  const auto runs = start(0, asked(200));
  const auto waits = start(1);
  until([this] { return state(1) == ModelState::kWaiting; });
  host_->close();
  EXPECT_EQ(answer_of(waits->wait()).error->code, base::Code::kUnavailable);
  runs->wait();
  EXPECT_EQ(ask(0).error->code, base::Code::kUnavailable);
}

TEST_F(ModelHostTest, ItMayEndWhileItLoads) {
  for (int i = 0; i < 4; ++i) {
    open(2);
    const auto sink = start(i);
    std::this_thread::sleep_for(std::chrono::milliseconds(2 * i));
    host_.reset();
    sink->wait();
  }
}

TEST_F(ModelHostTest, ManyRequestsOverFiveModelsUnderACeilingForTwo) {
  std::vector<std::string> expected;
  for (int i = 0; i < 5; ++i) expected.push_back(alone(i));
  open(2);
  std::atomic<int> right{0}, left{0};
  std::atomic<bool> over{false}, ended{false};
  std::thread watch([&] {
    while (!ended) {
      const MemoryUse memory = host_->memory();
      if (memory.bytes_reserved > memory.bytes_max) over = true;
      for (int i = 0; i < 5; ++i) (void)host_->totals(name(i));
    }
  });
  std::vector<std::thread> clients;
  for (int t = 0; t < 8; ++t) {
    clients.emplace_back([&, t] {
      for (int k = 0; k < 12; ++k) {
        const int i = (7 * t + 3 * k) % 5;
        const base::CancelToken cancel;
        const auto sink = start(i, asked(), cancel);
        if ((t + k) % 6 == 0) cancel.cancel();
        const Answer got = answer_of(sink->wait());
        if (got.error && got.error->code == base::Code::kCancelled) {
          ++left;
        } else if (!got.error && got.text == expected[static_cast<std::size_t>(i)]) {
          ++right;
        } else {
          ADD_FAILURE() << (got.error ? got.error->message : got.text);
        }
      }
    });
  }
  for (std::thread& client : clients) client.join();
  ended = true;
  watch.join();
  EXPECT_EQ(right + left, 8 * 12);
  EXPECT_GT(right, 70);
  EXPECT_FALSE(over);
}

}  // namespace
}  // namespace pmt::engine
