#include "permutation/cascade.h"

#include <cmath>
#include <map>
#include <memory>

#include <gtest/gtest.h>

#include "llm/sinks.h"
#include "permutation/engine.h"
#include "permutation/test_engine.h"
#include "response_cache/scripted_completer.h"

namespace pmt::permutation {
namespace {

using json = nlohmann::json;
using response_cache::done_of;
using response_cache::failure_of;
using response_cache::ScriptedCompleter;

class CascadeTest : public testing::Test {
 protected:
  CascadeOptions options() {
    return {.student = {.name = "small", .completer = &student_},
            .teacher = {.name = "p/large",
                        .completer = &teacher_,
                        .price = [](const llm::Request&, const llm::Usage&) { return 0.25; },
                        .local = false},
            .policy = {.confidence_min = 0.6, .probe_tokens = 3},
            .response_cache_usage = &usage_};
  }
  static llm::Request question(const std::string& text = "Who wrote Hamlet?") {
    return permutation::question(text);
  }
  std::shared_ptr<llm::CollectingSink> ask(Engine& engine, llm::Request request = question(),
                                           const base::CancelToken& cancel = {}) {
    auto sink = std::make_shared<llm::CollectingSink>();
    engine.start(std::move(request), sink, cancel);
    return sink;
  }
  /// The student says words of this probability each.
  void student_says(int call, const std::vector<std::string>& words, double probability) {
    student_.begin(call);
    for (const auto& word : words) {
      student_.call(call).sink->on_event(llm::Delta{
          .choice = 0,
          .text = word,
          .logprobs = {{.token = word, .logprob = static_cast<float>(std::log(probability)), .top = {}}}});
    }
  }

  base::FakeClock clock_;
  base::UsageCounter usage_;
  response_cache::ResponseCache cache_{{}, clock_};
  ScriptedCompleter student_, teacher_;
};

/// What its caller wrote reaches the teacher, and is part of what its answer is kept under; a synthesis is ours.
TEST_F(CascadeTest, TheTeacherIsAskedInTheCallersWords) {
  const auto written = [](std::string text) {
    auto sent = std::make_shared<llm::SentBody>();
    sent->text = std::move(text);
    for (base::JsonMember& member : base::members_of(sent->text))
      sent->members.push_back({std::move(member), false});
    llm::Request request = question();
    request.sent = std::move(sent);
    return request;
  };
  CascadeOptions both = options();
  both.policy.escalation = Escalation::kAlways;
  both.policy.synthesis = true;
  Engine engine(both, cache_, clock_);
  for (int i = 0; i < 2; ++i) {
    const auto events = ask(engine, written(i == 0 ? R"({"x":1})" : R"({"x":2})"));
    if (i == 0)
      student_.answer(0, {"Marlowe"});  // the second time it is cached: it reads no more than the first
    teacher_.answer(2 * i, {i == 0 ? "Shakespeare" : "William"});
    EXPECT_EQ(teacher_.call(2 * i).request.sent->text, i == 0 ? R"({"x":1})" : R"({"x":2})");
    teacher_.answer(2 * i + 1, {"Shakespeare."});
    EXPECT_EQ(teacher_.call(2 * i + 1).request.sent, nullptr);
    EXPECT_EQ(llm::text_of(events->wait()), "Shakespeare.");
  }
  EXPECT_EQ(student_.calls(), 1);
}

TEST_F(CascadeTest, ASureStudentAnswersAndStreamsAfterTheProbe) {
  Engine engine(options(), cache_, clock_);
  std::vector<std::string> pieces;
  auto events = std::make_shared<llm::CollectingSink>();
  const auto tee = std::make_shared<llm::FunctionSink>([&](const llm::Event& event) {
    if (const auto* delta = std::get_if<llm::Delta>(&event)) {
      pieces.push_back(delta->text);
      EXPECT_TRUE(delta->logprobs.empty()) << "they were asked for by the cascade only";
    }
    events->on_event(llm::Event(event));
  });
  engine.start(question(), tee, {});
  student_says(0, {"a", "b"}, 0.9);
  EXPECT_TRUE(pieces.empty()) << "it is still open who answers";
  student_.call(0).sink->on_event(
      llm::Delta{.choice = 0, .text = "c", .logprobs = {{.token = "c", .logprob = -0.1F, .top = {}}}});
  EXPECT_EQ(pieces, (std::vector<std::string>{"a", "b", "c"}));
  student_.say(0, "d");
  EXPECT_EQ(pieces.size(), 4U) << "from here on it streams";
  student_.finish(0, 4);
  const auto all = events->wait();
  EXPECT_EQ(llm::text_of(all), "abcd");
  EXPECT_EQ(teacher_.calls(), 0);
  const json metadata = engine_of(all)["metadata"];
  EXPECT_EQ(metadata["answered_by"], "student");
  EXPECT_EQ(metadata["teacher_calls"], 0);
  EXPECT_EQ(metadata["degraded"], false);
  EXPECT_NEAR(metadata["quality_score"].get<double>(), 0.9, 0.01);
  auto steps = steps_of(all);
  EXPECT_EQ(steps["confidence"]["output"]["sure"], true);
  EXPECT_EQ(steps["teacher"]["status"], "skipped");
  EXPECT_EQ(engine_of(all)["answer"], "abcd");
  EXPECT_EQ(engine_of(all)["reasoning"].size(), 1U);
}

TEST_F(CascadeTest, AnUnsureStudentIsStoppedAndTheTeacherAnswers) {
  Engine engine(options(), cache_, clock_);
  const auto sink = ask(engine);
  EXPECT_EQ(student_.call(0).request.logprobs, 0);
  student_says(0, {"x", "y", "z"}, 0.2);
  EXPECT_TRUE(student_.call(0).cancel.cancelled());
  ASSERT_EQ(teacher_.calls(), 1);
  EXPECT_EQ(teacher_.call(0).request.model, "p/large");
  student_.fail(0, base::Code::kCancelled, "stopped");
  teacher_.answer(0, {"Shake", "speare"});
  const auto events = sink->wait();
  EXPECT_EQ(llm::text_of(events), "Shakespeare");
  const json metadata = engine_of(events)["metadata"];
  EXPECT_EQ(metadata["answered_by"], "teacher");
  EXPECT_EQ(metadata["teacher_calls"], 1);
  EXPECT_EQ(metadata["student_calls"], 1);
  EXPECT_EQ(metadata["cost"], 0.25);
  EXPECT_EQ(metadata["components_used"],
            json({"response_cache", "router", "confidence", "student", "teacher"}));
  // Again: the whole answer is cached, and tells what was saved.
  const auto again = ask(engine)->wait();
  EXPECT_EQ(done_of(again).report.cache->status, llm::CacheStatus::kHit);
  EXPECT_DOUBLE_EQ(done_of(again).report.cache->usd_saved, 0.25);
  EXPECT_EQ(engine_of(again)["metadata"]["cost"], 0.0);
  EXPECT_EQ(engine_of(again)["metadata"]["teacher_calls"], 0);
  EXPECT_EQ(engine_of(again)["metadata"]["answered_by"], "teacher");
}

TEST_F(CascadeTest, EachStageHasAKeyOfItsOwn) {
  CascadeOptions one = options();
  one.policy.escalation = Escalation::kAlways;
  Engine always(one, cache_, clock_);
  const auto first = ask(always);
  teacher_.answer(0, {"Shakespeare"});
  first->wait();
  // Another cascade, whose whole answer isn't cached, finds the teacher's.
  Engine by_confidence(options(), cache_, clock_);
  const auto second = ask(by_confidence);
  student_says(0, {"x", "y", "z"}, 0.2);
  const auto events = second->wait();
  EXPECT_EQ(teacher_.calls(), 1);
  EXPECT_EQ(llm::text_of(events), "Shakespeare");
  EXPECT_EQ(engine_of(events)["metadata"]["teacher_calls"], 0);
  EXPECT_EQ(engine_of(events)["metadata"]["cost"], 0.0);
  EXPECT_EQ(steps_of(events)["teacher"]["metadata"]["cache"], "hit");
  EXPECT_GE(usage_.count(base::Surface::kPermutation), 1U);
}

TEST_F(CascadeTest, AFailedTeacherLeavesTheStudentsAnswerMarkedDegradedAndUnstored) {
  Engine engine(options(), cache_, clock_);
  for (int time = 0; time < 2; ++time) {
    const auto sink = ask(engine);
    if (time == 0) {
      student_says(0, {"Mar", "lowe"}, 0.3);  // it ends before the probe does
      student_.finish(0, 2);
    }
    teacher_.fail(time, base::Code::kUnavailable, "down");
    const auto events = sink->wait();
    EXPECT_EQ(llm::text_of(events), "Marlowe");
    EXPECT_TRUE(done_of(events).transient);
    const json metadata = engine_of(events)["metadata"];
    EXPECT_EQ(metadata["degraded"], true);
    EXPECT_EQ(metadata["degraded_why"], "the teacher failed: down");
    EXPECT_EQ(metadata["student_calls"], 1 - time) << "the second time out of the student's own cache";
    EXPECT_EQ(steps_of(events)["fallback"]["status"], "success");
    EXPECT_EQ(steps_of(events)["teacher"]["status"], "failed");
    EXPECT_EQ(steps_of(events)["response_cache.store"]["metadata"]["why"], "a degraded answer is not kept");
    EXPECT_EQ(engine_of(events)["trace"]["errors"], json({"teacher: down"}));
  }
}

TEST_F(CascadeTest, AStoppedStudentIsAskedAgainWhenTheTeacherFails) {
  Engine engine(options(), cache_, clock_);
  const auto sink = ask(engine);
  student_says(0, {"x", "y", "z"}, 0.2);
  student_.fail(0, base::Code::kCancelled, "stopped");
  teacher_.fail(0, base::Code::kUnavailable, "down");
  ASSERT_EQ(student_.calls(), 2);
  student_.answer(1, {"Marlowe"});
  const auto events = sink->wait();
  EXPECT_EQ(llm::text_of(events), "Marlowe");
  EXPECT_EQ(engine_of(events)["metadata"]["answered_by"], "fallback");
  EXPECT_EQ(engine_of(events)["metadata"]["degraded"], true);
}

TEST_F(CascadeTest, WithoutAStudentTheTeachersErrorIsTheAnswer) {
  CascadeOptions alone = options();
  alone.student = {};
  Engine engine(alone, cache_, clock_);
  const auto failing = ask(engine);
  teacher_.fail(0, base::Code::kExhausted, "slow down");
  EXPECT_EQ(failure_of(failing->wait()).code, base::Code::kExhausted);
  const auto working = ask(engine);
  teacher_.answer(1, {"x"});
  EXPECT_EQ(steps_of(working->wait())["student"]["metadata"]["why"], "no local model is configured");
}

TEST_F(CascadeTest, AfterTheFirstWordAFailureIsAFailure) {
  CascadeOptions always = options();
  always.policy.escalation = Escalation::kAlways;
  Engine engine(always, cache_, clock_);
  const auto sink = ask(engine);
  teacher_.begin(0);
  teacher_.say(0, "half");
  teacher_.fail(0, base::Code::kBadGateway, "broke off");
  EXPECT_EQ(failure_of(sink->wait()).message, "broke off");
  EXPECT_EQ(student_.calls(), 0);
}

TEST_F(CascadeTest, NoTeacherMeansTheStudentAloneAndSaysSo) {
  CascadeOptions alone = options();
  alone.teacher = {};
  Engine engine(alone, cache_, clock_);
  const auto sink = ask(engine);
  EXPECT_FALSE(student_.call(0).request.logprobs);
  student_.answer(0, {"x"});
  const auto events = sink->wait();
  EXPECT_EQ(steps_of(events)["teacher"]["metadata"]["why"], "no upstream configured");
  EXPECT_EQ(engine_of(events)["metadata"]["degraded"], false);
}

TEST_F(CascadeTest, TheSynthesisSeesBothDrafts) {
  CascadeOptions both = options();
  both.policy.synthesis = true;
  Engine engine(both, cache_, clock_);
  const auto sink = ask(engine);
  student_says(0, {"draft", " ", "one", "!"}, 0.2);
  student_.finish(0, 4);
  teacher_.answer(0, {"draft two"});
  ASSERT_EQ(teacher_.calls(), 2);
  const std::string prompt = teacher_.call(1).request.messages.at(0).content;
  for (const char* part : {"Who wrote Hamlet?", "draft one!", "draft two"})
    EXPECT_NE(prompt.find(part), std::string::npos) << prompt;
  teacher_.answer(1, {"both"});
  const auto events = sink->wait();
  EXPECT_EQ(llm::text_of(events), "both");
  EXPECT_EQ(engine_of(events)["metadata"]["cost"], 0.5);
  EXPECT_EQ(engine_of(events)["metadata"]["synthesis_calls"], 1);
  EXPECT_EQ(done_of(events).usage.prompt_tokens, 30) << "of all three calls";
}

TEST_F(CascadeTest, AFailedSynthesisLeavesTheTeachersAnswer) {
  CascadeOptions both = options();
  both.policy.synthesis = true;
  Engine engine(both, cache_, clock_);
  const auto sink = ask(engine);
  student_says(0, {"one"}, 0.2);
  student_.finish(0, 1);
  teacher_.answer(0, {"two"});
  teacher_.fail(1, base::Code::kUnavailable, "down");
  EXPECT_EQ(llm::text_of(sink->wait()), "two");
}

TEST_F(CascadeTest, DollarsAreOverrunByOneCallAtMost) {
  CascadeOptions both = options();
  both.policy.synthesis = true;
  Engine engine(both, cache_, clock_);
  llm::Request request = question();
  request.budget.usd = 0.1;
  const auto sink = ask(engine, request);
  student_says(0, {"one"}, 0.2);
  student_.finish(0, 1);
  teacher_.answer(0, {"two"});  // 0.25: the budget is gone
  const auto events = sink->wait();
  EXPECT_EQ(teacher_.calls(), 1);
  EXPECT_EQ(llm::text_of(events), "two");
  EXPECT_EQ(steps_of(events)["synthesis"]["metadata"]["why"], "the budget of 0.1 dollars is used up");

  request = question("another");
  request.budget.usd = 0;
  const auto none = ask(engine, request);
  EXPECT_EQ(failure_of(none->wait()).code, base::Code::kExhausted);
  EXPECT_EQ(student_.calls(), 1);
}

TEST_F(CascadeTest, TokensAndSecondsEndTheCascade) {
  Engine engine(options(), cache_, clock_);
  llm::Request request = question();
  request.budget.tokens = 12;
  auto sink = ask(engine, request);
  EXPECT_EQ(student_.call(0).request.max_tokens, 12);
  student_says(0, {"one", "two"}, 0.2);
  student_.finish(0, 2);  // 10 + 2
  auto events = sink->wait();
  EXPECT_EQ(teacher_.calls(), 0);
  EXPECT_EQ(engine_of(events)["metadata"]["degraded_why"], "the budget of 12 tokens is used up");

  request = question("later");
  request.budget.seconds = 2;
  sink = ask(engine, request);
  clock_.advance(std::chrono::seconds(3));
  student_says(1, {"one", "two"}, 0.2);
  student_.finish(1, 2);
  events = sink->wait();
  EXPECT_EQ(teacher_.calls(), 0);
  EXPECT_EQ(steps_of(events)["teacher"]["metadata"]["why"], "the budget of 2 seconds is used up");
}

TEST_F(CascadeTest, AgreementMaySaveAnUnsureStudent) {
  CascadeOptions drawing = options();
  drawing.policy.agreement_samples = 2;
  Engine engine(drawing, cache_, clock_);
  const auto sink = ask(engine);
  student_says(0, {"Shake", "spe", "are", "!"}, 0.4);
  EXPECT_FALSE(student_.call(0).cancel.cancelled()) << "its whole answer is compared";
  student_.finish(0, 4);
  EXPECT_FLOAT_EQ(student_.call(1).request.sampling.temperature, 0.7F);
  student_.answer(1, {"Shakespeare"});
  student_.answer(2, {"shakespeare."});
  const auto events = sink->wait();
  EXPECT_EQ(llm::text_of(events), "Shakespeare!");
  EXPECT_NEAR(engine_of(events)["metadata"]["quality_score"].get<double>(), 0.7, 1e-3);
  EXPECT_EQ(engine_of(events)["metadata"]["student_calls"], 3);
}

TEST_F(CascadeTest, ExploringTeachesHowAbleTheStudentIs) {
  CascadeOptions exploring = options();
  exploring.explore = 1;
  Engine engine(exploring, cache_, clock_);
  for (int i = 0; i < 16; ++i) {
    const auto sink = ask(engine, question("Who wrote book " + std::to_string(i) + "?"));
    student_says(i, {"no", "bo", "dy", "."}, 0.9);
    student_.finish(i, 4);
    teacher_.answer(i, {"Somebody else"});
    EXPECT_EQ(llm::text_of(sink->wait()), "Somebody else");
  }
  EXPECT_EQ(engine.cascade().abilities().outcomes(), 16U);
  EXPECT_LT(engine.cascade().abilities().ability().probability(0.2), Ability().probability(0.2));
}

TEST_F(CascadeTest, TheCallersLeavingStopsWhoeverAnswers) {
  Engine engine(options(), cache_, clock_);
  const base::CancelToken cancel;
  const auto sink = ask(engine, question(), cancel);
  student_says(0, {"x", "y", "z"}, 0.2);
  cancel.cancel();
  EXPECT_TRUE(teacher_.call(0).cancel.cancelled());
  EXPECT_EQ(failure_of(sink->wait()).code, base::Code::kCancelled);
  student_.fail(0, base::Code::kCancelled, "stopped");
  teacher_.fail(0, base::Code::kCancelled, "stopped");
  EXPECT_EQ(student_.calls(), 1) << "no fallback for nobody";
}

TEST_F(CascadeTest, AMistakeInTheRequestIsNotAskedTwice) {
  Engine engine(options(), cache_, clock_);
  const auto sink = ask(engine);
  student_.fail(0, base::Code::kInvalidArgument, "no");
  EXPECT_EQ(failure_of(sink->wait()).code, base::Code::kInvalidArgument);
  EXPECT_EQ(teacher_.calls(), 0);
}

TEST_F(CascadeTest, WhatTheStudentWasTaughtGoesAlongAndMakesTheKey) {
  CascadeOptions taught = options();
  std::string version = "1";
  taught.offer_knowledge = [&version](llm::Request& request) { request.knowledge = {"acme@" + version}; };
  Engine engine(taught, cache_, clock_);
  const auto first = ask(engine);
  EXPECT_EQ(student_.call(0).request.knowledge, std::vector<std::string>{"acme@1"});
  student_says(0, {"a", "b", "c", "d"}, 0.2);
  EXPECT_EQ(teacher_.calls(), 0) << "a taught fact shows at the end only";
  auto sink = student_.call(0).sink;
  sink->on_event(llm::ChoiceEnd{});
  llm::Done done;
  done.report.knowledge = llm::KnowledgeReport{.domains = {"acme"}, .slots_read = 1, .facts = {"acme/1"}};
  const nlohmann::json shown{{"attached", "packs"}, {"sources", {{{"document", "a.md"}}}}};
  done.report.engine = {{"documents", shown}};
  sink->on_event(std::move(done));
  EXPECT_EQ(engine_of(first->wait())["metadata"]["answered_by"], "student");
  EXPECT_EQ(engine_of(first->wait())["documents"], shown);
  EXPECT_EQ(teacher_.calls(), 0);
  const auto again = ask(engine)->wait();
  EXPECT_EQ(done_of(again).report.cache->status, llm::CacheStatus::kHit);
  EXPECT_EQ(engine_of(again)["documents"], shown) << "a hit names its sources, too";
  version = "2";
  ask(engine);
  EXPECT_EQ(student_.calls(), 2) << "a lesson makes new keys";
  student_.fail(1, base::Code::kUnavailable, "down");
  EXPECT_TRUE(teacher_.call(0).request.knowledge.empty()) << "they are the student's";
  teacher_.fail(0, base::Code::kUnavailable, "down");
  student_.fail(2, base::Code::kUnavailable, "the fallback is down too");
}

/// The answer and the call that it was made of are two entries of one answer.
TEST_F(CascadeTest, AFlaggedAnswerIsGivenByNeitherOfItsTwins) {
  Engine engine(options(), cache_, clock_);
  const auto answer = [&] {
    const int before = student_.calls();
    const auto sink = ask(engine);
    if (student_.calls() > before) {
      student_says(before, {"a", "b", "c"}, 0.9);
      student_.finish(before, 3);
    }
    return done_of(sink->wait());
  };
  const auto entries = [&] {
    std::map<std::string, response_cache::Key> keys;
    cache_.visit({}, [&keys](const response_cache::Key& key, const response_cache::Entry& entry) {
      keys[entry.meta.model] = key;
    });
    return keys;
  };
  answer();
  for (const char* model : {"permutation", "small"}) {
    const int asked = student_.calls();
    ASSERT_EQ(entries().size(), 2U);
    EXPECT_EQ(answer().report.cache->status, llm::CacheStatus::kHit);
    const response_cache::Key key = entries().at(model);
    EXPECT_EQ(cache_.purge_answer(key, cache_.tiers().peek(key)), 2U);
    EXPECT_EQ(answer().report.cache->status, llm::CacheStatus::kMiss) << model;
    EXPECT_EQ(student_.calls(), asked + 1) << model;
  }
  EXPECT_EQ(cache_.stats().hits, 2U);
  EXPECT_EQ(cache_.stats().misses, 3U);
  EXPECT_EQ(cache_.stats().engine.misses, 3U);
}

}  // namespace
}  // namespace pmt::permutation
