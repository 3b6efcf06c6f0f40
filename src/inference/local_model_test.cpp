#include "inference/local_model.h"

#include <chrono>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include <gtest/gtest.h>

#include "llm/sinks.h"

namespace pmt::inference {
namespace {

const base::SystemClock kClock;

LocalModelOptions options_with(std::size_t kv_bytes_max) {
  LocalModelOptions options;
  options.name = "smollm2-135m-instruct";
  options.path = std::getenv("PERMUTATION_MODEL");
  options.threads = 2;
  options.kv_bytes_max = kv_bytes_max;
  options.prefix_bytes_max = 0;  // so that idle means empty
  return options;
}

llm::Request chat(const std::string& question, int max_tokens) {
  llm::Request request;
  request.messages.push_back({"user", question, "", {}, ""});
  request.sampling.temperature = 0;
  request.max_tokens = max_tokens;
  return request;
}

struct Started {
  std::shared_ptr<llm::CollectingSink> sink = std::make_shared<llm::CollectingSink>();
  base::CancelToken cancel;
};

Started start(LocalModel& model, llm::Request request) {
  Started out;
  model.start(std::move(request), out.sink, out.cancel);
  return out;
}

base::Error error_of(const std::vector<llm::Event>& events) {
  const auto* failed = std::get_if<llm::Failed>(&events.back());
  return failed != nullptr ? failed->error : base::Error{base::Code::kInternal, "it did not fail"};
}

std::string story_prompt(int lines) {
  std::string text = "Summarise this list.\n";
  for (int i = 0; i < lines; ++i) {
    text += "Crate " + std::to_string(i) + " holds " + std::to_string(i * 7 % 31) + " brass lamps.\n";
  }
  return text;
}

void expect_idle(const LocalModel& model) {
  for (int i = 0; i < 200 && model.kv_stats().pages_used > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(model.kv_stats().pages_used, 0);
  EXPECT_EQ(model.kv_stats().bytes, 0);
}

class LocalModelTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* path = std::getenv("PERMUTATION_MODEL");
    if (path == nullptr || *path == '\0') GTEST_SKIP() << "PERMUTATION_MODEL names no model";
  }

  static std::unique_ptr<LocalModel> load(std::size_t kv_bytes_max = 256U << 20,
                                          const base::Clock& clock = kClock) {
    auto model = LocalModel::load(options_with(kv_bytes_max), clock);
    EXPECT_TRUE(model) << model.error().message;
    return std::move(*model);
  }
};

TEST_F(LocalModelTest, ContinuesAnObviousPattern) {
  auto model = load();
  llm::Request request = chat("", 8);
  request.endpoint = llm::Endpoint::kCompletions;
  request.prompt = "red, green, blue, yellow, red, green, blue, yellow, red, green,";
  const auto events = start(*model, request).sink->wait();
  EXPECT_EQ(llm::text_of(events).rfind(" blue, yellow,", 0), 0U) << llm::text_of(events);
  ASSERT_TRUE(std::holds_alternative<llm::Started>(events.front()));
  ASSERT_TRUE(std::holds_alternative<llm::Done>(events.back()));
  const auto& done = std::get<llm::Done>(events.back());
  EXPECT_GT(done.usage.prompt_tokens, 10);
  EXPECT_GT(done.usage.completion_tokens, 0);
  EXPECT_EQ(done.report.kv->bytes % 8192, 0);
  // The last sampled token is never fed back, so it has no keys.
  EXPECT_EQ(done.report.kv->tokens_total, done.usage.prompt_tokens + done.usage.completion_tokens - 1);
  EXPECT_GT(done.report.timing->prefill_ms, 0);
  expect_idle(*model);
}

llm::Request completion(const std::string& prompt, int max_tokens) {
  llm::Request request = chat("", max_tokens);
  request.endpoint = llm::Endpoint::kCompletions;
  request.prompt = prompt;
  request.logprobs = 1;
  return request;
}

/// Of one choice, in order.
std::vector<llm::TokenLogprob> scored(const std::vector<llm::Event>& events, int choice = 0) {
  std::vector<llm::TokenLogprob> out;
  for (const llm::Event& event : events) {
    const auto* delta = std::get_if<llm::Delta>(&event);
    if (delta != nullptr && delta->choice == choice)
      out.insert(out.end(), delta->logprobs.begin(), delta->logprobs.end());
  }
  return out;
}

std::string joined(const std::vector<llm::TokenLogprob>& tokens) {
  std::string text;
  for (const llm::TokenLogprob& token : tokens) text += token.token;
  return text;
}

void expect_same(const std::vector<llm::TokenLogprob>& a, const std::vector<llm::TokenLogprob>& b,
                 double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].token, b[i].token) << i;
    ASSERT_EQ(a[i].logprob.has_value(), b[i].logprob.has_value()) << i;
    if (a[i].logprob) {
      ASSERT_NEAR(*a[i].logprob, *b[i].logprob, tolerance) << i << a[i].token;
    }
  }
}

TEST_F(LocalModelTest, AnEchoedPromptHasTheLogprobsOfWritingIt) {
  auto model = load();
  const std::string prompt = "One, two, three, four, five, six, seven,";
  const auto written = start(*model, completion(prompt, 30)).sink->wait();
  const auto answer = scored(written);
  ASSERT_GE(answer.size(), 20U);
  EXPECT_EQ(joined(answer), llm::text_of(written));

  llm::Request again = completion(prompt + llm::text_of(written), 0);
  again.echo = true;
  const auto events = start(*model, again).sink->wait();
  const auto prompt_scores = scored(events);
  EXPECT_EQ(joined(prompt_scores), again.prompt);
  EXPECT_EQ(llm::text_of(events), again.prompt);
  EXPECT_FALSE(prompt_scores[0].logprob);
  // What a model wrote may be cut into other tokens when it is read: they are the same up to there.
  auto at = prompt_scores.begin();
  for (std::string before; at != prompt_scores.end() && before != prompt; ++at) before += at->token;
  std::size_t same = 0;
  while (same < answer.size() && at + static_cast<std::ptrdiff_t>(same) != prompt_scores.end() &&
         at[static_cast<std::ptrdiff_t>(same)].token == answer[same].token)
    ++same;
  ASSERT_GE(same, 10U) << joined({at, prompt_scores.end()});
  const auto count = static_cast<std::ptrdiff_t>(same);
  expect_same({at, at + count}, {answer.begin(), answer.begin() + count}, 0.02);
  const auto& done = std::get<llm::Done>(events.back());
  EXPECT_EQ(done.usage.completion_tokens, 0);
  EXPECT_EQ(done.usage.prompt_tokens, static_cast<std::int64_t>(prompt_scores.size()));
  expect_idle(*model);
}

TEST_F(LocalModelTest, ALongPromptIsScoredInPieces) {
  auto model = load();
  llm::Request whole = completion(story_prompt(90), 1);  // more rows than a step may have
  whole.echo = true;
  whole.n = 3;
  const auto events = start(*model, whole).sink->wait();
  const auto all = scored(events);
  EXPECT_GT(all.size(), 900U);
  EXPECT_EQ(joined(all), llm::text_of(events));
  expect_same(scored(events, 2), all, 0);

  std::vector<Started> beside;  // in one batch with others, also of its kind
  for (int i = 0; i < 3; ++i) beside.push_back(start(*model, whole));
  beside.push_back(start(*model, chat("Name three colours.", 20)));
  for (int i = 0; i < 3; ++i)
    expect_same(scored(beside[static_cast<std::size_t>(i)].sink->wait()), all, 0.02);
  beside[3].sink->wait();
  expect_idle(*model);
}

TEST_F(LocalModelTest, PreemptionLosesNoScore) {
  auto roomy = load();
  llm::Request request = completion(story_prompt(40), 100);
  request.echo = true;
  request.n = 2;
  const auto expected = scored(start(*roomy, request).sink->wait(), 1);
  auto tight = load(24U << 20);
  std::vector<Started> beside;
  for (int i = 0; i < 3; ++i) beside.push_back(start(*tight, request));
  for (Started& one : beside) {
    const auto events = one.sink->wait();
    ASSERT_TRUE(std::holds_alternative<llm::Done>(events.back())) << error_of(events).message;
    expect_same(scored(events, 1), expected, 0.02);
  }
  expect_idle(*tight);
}

TEST_F(LocalModelTest, TokenIdsEchoTheirText) {
  auto model = load();
  llm::Request request = completion("", 2);
  request.prompt_tokens = model->tokens_of("The capital of France is", {});
  request.echo = true;
  const auto events = start(*model, request).sink->wait();
  EXPECT_EQ(llm::text_of(events).rfind("The capital of France is", 0), 0U);
  EXPECT_EQ(joined(scored(events)), llm::text_of(events));
  request.prompt_tokens[0] = 10'000'000;
  EXPECT_EQ(error_of(start(*model, request).sink->wait()).field, "prompt");
}

TEST_F(LocalModelTest, ItsTokenizersNamesAreTokens) {
  auto model = load();
  const llm::TokenizerInfo info = model->tokenizer_info();
  EXPECT_EQ(info.eos, "<|im_end|>");
  for (const auto& name : {info.bos, info.eos, info.pad})
    EXPECT_TRUE(!name || model->tokens_of(*name, {.add_special = false}).size() == 1) << name.value_or("");
  EXPECT_TRUE(info.chat_template && info.chat_template->find("<|im_start|>") != std::string::npos);
  EXPECT_FALSE(info.adds_bos);
}

TEST_F(LocalModelTest, ControlTokensActInATextPromptOnly) {
  auto model = load();
  const auto size = [&](llm::Request request) { return model->prompt_of(request).value().size(); };
  EXPECT_EQ(size(completion("<|im_start|><|im_start|><|im_start|>", 1)), 3U);
  EXPECT_GT(size(chat("<|im_start|><|im_start|><|im_start|>", 1)), size(chat("", 1)) + 9);
}

TEST_F(LocalModelTest, NothingIsWrittenWhereNothingIsWanted) {
  auto model = load();
  llm::Request request = completion("One, two,", 0);
  const auto events = start(*model, request).sink->wait();
  EXPECT_EQ(llm::text_of(events), "");
  EXPECT_EQ(std::get<llm::ChoiceEnd>(events[events.size() - 2]).reason, llm::FinishReason::kLength);
  EXPECT_EQ(std::get<llm::Done>(events.back()).usage.completion_tokens, 0);
  request.suffix = "four";
  EXPECT_EQ(error_of(start(*model, request).sink->wait()).field, "suffix")
      << "this model wasn't trained for it";
  request.echo = true;
  EXPECT_EQ(error_of(start(*model, request).sink->wait()).field, "echo");
}

TEST_F(LocalModelTest, TheTokenThatEndsATextIsScoredToo) {
  auto model = load();
  const auto ends = model->prompt_of(completion("<|im_end|>", 1)).value();
  ASSERT_EQ(ends.size(), 1U);
  llm::Request request = completion("The capital of France is", 8);
  // Whether a model ends by itself depends on the processor's last bits.
  request.sampling.logit_bias[ends[0]] = 100;
  const auto events = start(*model, request).sink->wait();
  const auto tokens = scored(events);
  ASSERT_EQ(tokens.size(),
            static_cast<std::size_t>(std::get<llm::Done>(events.back()).usage.completion_tokens));
  ASSERT_EQ(std::get<llm::ChoiceEnd>(events[events.size() - 2]).reason, llm::FinishReason::kStop);
  EXPECT_EQ(tokens.back().token, "") << "it is no part of the text";
  EXPECT_TRUE(tokens.back().logprob);
}

TEST_F(LocalModelTest, ABatchGivesTheSameTextAsOneByOne) {
  auto model = load();
  const std::vector<std::string> questions = {"Name three colours.", "What is two plus two?",
                                              story_prompt(40), "Write a line about the sea."};
  std::vector<std::string> alone;
  for (const auto& question : questions)
    alone.push_back(llm::text_of(start(*model, chat(question, 20)).sink->wait()));
  std::vector<Started> together;
  for (const auto& question : questions) together.push_back(start(*model, chat(question, 20)));
  for (std::size_t i = 0; i < questions.size(); ++i) {
    EXPECT_EQ(llm::text_of(together[i].sink->wait()), alone[i]) << questions[i];
  }
}

TEST_F(LocalModelTest, PreemptionUnderASmallPoolChangesNoText) {
  auto roomy = load();
  auto tight = load(20U << 20);  // about 900 tokens
  std::vector<std::string> want;
  for (int i = 0; i < 4; ++i)
    want.push_back(llm::text_of(start(*roomy, chat(story_prompt(20 + i), 60)).sink->wait()));
  std::vector<Started> runs;
  for (int i = 0; i < 4; ++i) runs.push_back(start(*tight, chat(story_prompt(20 + i), 60)));
  for (int i = 0; i < 4; ++i) EXPECT_EQ(llm::text_of(runs[i].sink->wait()), want[i]) << i;
  expect_idle(*tight);
}

TEST_F(LocalModelTest, ChoicesShareThePromptAndDiffer) {
  auto model = load();
  llm::Request request = chat("Tell me about a strange animal.", 16);
  request.n = 4;
  request.sampling.temperature = 1.2F;
  request.sampling.seed = 5;
  const auto events = start(*model, request).sink->wait();
  std::set<std::string> texts;
  for (int i = 0; i < 4; ++i) texts.insert(llm::text_of(events, i));
  EXPECT_GT(texts.size(), 2U);
  EXPECT_EQ(llm::text_of(start(*model, request).sink->wait(), 3), llm::text_of(events, 3))
      << "same seed, same text";
  expect_idle(*model);
}

TEST_F(LocalModelTest, ACancelledRequestFreesItsPages) {
  auto model = load();
  llm::Request request = chat("", 4000);
  request.endpoint = llm::Endpoint::kCompletions;
  request.prompt = "red, green, blue, yellow, red, green, blue, yellow, red, green,";  // it goes on for ever
  auto run = start(*model, request);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  run.cancel.cancel();
  EXPECT_EQ(error_of(run.sink->wait()).code, base::Code::kCancelled);
  expect_idle(*model);
  EXPECT_EQ(model->stats().cancelled, 1U);
}

TEST_F(LocalModelTest, TooLongAContextSaysByHowMuch) {
  auto model = load();
  llm::Request request = chat("", 1);
  request.endpoint = llm::Endpoint::kCompletions;
  request.prompt_tokens.assign(8192 + 10, 1000);
  const base::Error error = error_of(start(*model, request).sink->wait());
  EXPECT_EQ(error.code, base::Code::kTooLarge);
  EXPECT_EQ(error.field, "prompt");
  EXPECT_NE(error.message.find("11 more than fit"), std::string::npos) << error.message;
}

TEST_F(LocalModelTest, TextThatIsNoUtf8IsNamed) {
  auto model = load();
  for (const char* text : {"\xf5\x80\x80\x80", "caf\xe9", "\xed\xa0\x80"}) {
    const base::Error error = error_of(start(*model, chat(text, 1)).sink->wait());
    EXPECT_EQ(error.code, base::Code::kInvalidArgument);
    EXPECT_EQ(error.field, "messages[0].content");
    llm::Request request = chat("", 1);
    request.endpoint = llm::Endpoint::kCompletions;
    request.prompt = text;
    EXPECT_EQ(error_of(start(*model, request).sink->wait()).field, "prompt");
  }
  EXPECT_TRUE(std::holds_alternative<llm::Done>(start(*model, chat("Hi", 4)).sink->wait().back()));
}

TEST_F(LocalModelTest, ARequestThatCantFitThePoolIsRefusedAndNothingIsWedged) {
  auto model = load(8U << 20);
  const base::Error error = error_of(start(*model, chat(story_prompt(10), 2000)).sink->wait());
  EXPECT_EQ(error.code, base::Code::kTooLarge);
  EXPECT_NE(error.message.find("pool holds"), std::string::npos);
  EXPECT_TRUE(std::holds_alternative<llm::Done>(start(*model, chat("Hi", 4)).sink->wait().back()));
}

TEST_F(LocalModelTest, ARandomTraceOfRequestsAndCancellationsEndsIdle) {
  auto model = load(40U << 20);
  std::mt19937 rng(17);
  std::vector<Started> runs;
  for (int i = 0; i < 12; ++i) {
    llm::Request request = chat(story_prompt(static_cast<int>(rng() % 20)), 1 + static_cast<int>(rng() % 20));
    request.n = 1 + static_cast<int>(rng() % 3);
    request.sampling.temperature = rng() % 2 == 0 ? 0.0F : 1.0F;
    runs.push_back(start(*model, request));
    if (rng() % 3 == 0) runs[rng() % runs.size()].cancel.cancel();
    std::this_thread::sleep_for(std::chrono::milliseconds(rng() % 60));
  }
  for (auto& run : runs) {
    const auto events = run.sink->wait();
    const bool done = std::holds_alternative<llm::Done>(events.back());
    EXPECT_TRUE(done || error_of(events).code == base::Code::kCancelled) << error_of(events).message;
  }
  expect_idle(*model);
  const EngineStats stats = model->stats();
  EXPECT_EQ(stats.completed + stats.cancelled, stats.requests);
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.waiting, 0);
}

TEST_F(LocalModelTest, APromptThatBeginsAlikeIsNotReadAgain) {
  auto options = options_with(64U << 20);
  options.prefix_bytes_max = 32U << 20;
  const auto model = std::move(*LocalModel::load(options, kClock));
  const auto plain = load();
  const auto answer = [](LocalModel& of, const std::string& question) {
    const auto events = start(of, chat(story_prompt(60) + question, 24)).sink->wait();
    return std::pair(llm::text_of(events), std::get<llm::Done>(events.back()));
  };
  const auto [first, cold] = answer(*model, "How many crates are there?");
  EXPECT_EQ(cold.report.kv->prefix_tokens_reused, 0);
  const auto [second, warm] = answer(*model, "Which crate comes first?");
  EXPECT_GT(warm.report.kv->prefix_tokens_reused, warm.usage.prompt_tokens * 9 / 10);
  EXPECT_LT(warm.report.timing->prefill_ms, cold.report.timing->prefill_ms / 3);
  EXPECT_EQ(warm.report.kv->tokens_total, warm.usage.prompt_tokens + warm.usage.completion_tokens - 1);
  EXPECT_EQ(second, answer(*plain, "Which crate comes first?").first) << "reused pages change no text";
  const auto [third, again] = answer(*model, "How many crates are there?");
  EXPECT_EQ(third, first);
  EXPECT_EQ(again.report.kv->prefix_tokens_reused, again.usage.prompt_tokens - 1);
  EXPECT_EQ(model->stats().prefix_hits, 2U);
  // Done is sent a moment before the sequence's own pages go.
  auto kv = model->kv_stats();
  for (int i = 0; i < 200 && kv.sequences > 0; ++i, kv = model->kv_stats())
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(kv.bytes, kv.bytes_prefixes);

  // What is kept makes room for a request that needs the pages.
  const auto big = start(*model, chat(story_prompt(130), 8)).sink->wait();
  EXPECT_TRUE(std::holds_alternative<llm::Done>(big.back()));
}

TEST_F(LocalModelTest, SpeculationChangesNoText) {
  // It stands still, so no step's cost is measured, and how much is drafted doesn't depend on the machine.
  const base::FakeClock clock;
  auto model = load(256U << 20, clock);
  for (const std::string& prompt :
       {"Repeat this list word for word.\n" + story_prompt(12), std::string("Count to 30.")}) {
    for (const float temperature : {0.0F, 0.8F}) {
      llm::Request request = chat(prompt, 60);
      request.sampling.temperature = temperature;
      request.sampling.seed = 4;
      request.speculation = llm::Speculation::kOff;
      const auto without = start(*model, request).sink->wait();
      EXPECT_EQ(std::get<llm::Done>(without.back()).report.speculation->drafted, 0);
      request.speculation = llm::Speculation::kPromptLookup;
      const auto with = start(*model, request).sink->wait();
      EXPECT_EQ(llm::text_of(with), llm::text_of(without)) << prompt;
      const auto& done = std::get<llm::Done>(with.back());
      EXPECT_EQ(done.usage.completion_tokens, std::get<llm::Done>(without.back()).usage.completion_tokens);
      EXPECT_LE(done.report.speculation->accepted, done.report.speculation->drafted);
      EXPECT_EQ(done.report.kv->tokens_total, done.usage.prompt_tokens + done.usage.completion_tokens - 1);
    }
  }
  EXPECT_GT(model->stats().accepted, 20U);
  expect_idle(*model);
}

TEST_F(LocalModelTest, BadFilesAreRefusedByName) {
  LocalModelOptions options = options_with(8U << 20);
  options.path = "no-such-file.gguf";
  auto missing = LocalModel::load(options, kClock);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, base::Code::kNotFound);
  EXPECT_NE(missing.error().message.find("no-such-file.gguf"), std::string::npos);
}

}  // namespace
}  // namespace pmt::inference
