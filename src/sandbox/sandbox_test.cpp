// The REPL as a root model uses it, by both kinds of sandbox; what hostile programs try is in
// hostile_test.cpp.
#include "sandbox/sandbox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "sandbox/test_sandbox.h"

namespace pmt::sandbox {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class SandboxTest : public KindTest {};
INSTANTIATE_TEST_SUITE_P(Kinds, SandboxTest, kKinds, kind_name);

TEST_P(SandboxTest, VariablesLastOverBlocksAndExceptions) {
  open();
  EXPECT_EQ(run("x = 40\nprint('first')").output, "first\n");
  const BlockResult failed = run("y = 2\nprint('before')\nraise ValueError('no good')");
  EXPECT_EQ(failed.output, "before\n");
  EXPECT_THAT(failed.error, HasSubstr("ValueError: no good"));
  EXPECT_FALSE(failed.ended);
  EXPECT_EQ(run("print(x + y)").output, "42\n");
  EXPECT_THAT(run("SHOW_VARS()\nprint(SHOW_VARS())").output, HasSubstr("x"));
}

TEST_P(SandboxTest, TheValueOfALastExpressionIsShown) {
  open();
  EXPECT_EQ(run("x = 41\nx + 1").output, "42\n");
  EXPECT_EQ(run("'heron'").output, "'heron'\n");
  EXPECT_EQ(run("print(1)").output, "1\n") << "None is no value to show";
  EXPECT_EQ(run("x + 1\ny = 2").output, "") << "only the last";
  EXPECT_EQ(run("for i in [1]:\n  i + 1").output, "");
}

TEST_P(SandboxTest, ASyntaxErrorIsToldAndNothingIsLost) {
  open();
  run("x = 1");
  EXPECT_THAT(run("for in x:\n  pass").error, HasSubstr("SyntaxError"));
  EXPECT_EQ(run("print(x)").output, "1\n");
}

TEST_P(SandboxTest, TheContextIsAVariable) {
  open({}, {.context = "alpha beta gamma", .functions = {}});
  EXPECT_EQ(run("print(len(context), context_slice(6, 10))").output, "16 beta\n");
  open({}, {.context = json::array({"one", "two"}), .functions = {}});
  EXPECT_EQ(run("print(len(context), context[1])").output, "2 two\n");
}

TEST_P(SandboxTest, AnotherContextLeavesTheVariables) {
  open({}, {.context = "alpha", .functions = {}});
  if (!session_) return;  // skipped
  run("kept = len(context)\ncontext_0 = context");
  ASSERT_TRUE(session_->set_context(json::array({"one", "three"}), {}));
  EXPECT_EQ(run("print(kept, context[1], context_0, context_slice(5, 10))").output, "5 three alpha three\n");
  ASSERT_TRUE(session_->set_context("", {}));
  EXPECT_EQ(run("print(repr(context), kept)").output, "'' 5\n");
}

TEST_P(SandboxTest, AnEndedSessionTakesNoContext) {
  open();
  if (!session_) return;  // skipped
  base::CancelToken left;
  left.cancel();
  EXPECT_EQ(session_->run("1", call_, left).error().code, base::Code::kCancelled);
  EXPECT_EQ(session_->set_context("x", {}).error().code, base::Code::kUnavailable);
}

/// Else a thread of a program would take a core for as long as its session is kept.
TEST_P(SandboxTest, NothingRunsWhileItRests) {
  open();
  if (!session_ || GetParam() == Kind::kMonty) return;  // skipped, and monty has no threads
  run("import threading, time\nturns = [0]\n"
      "def spin():\n  while True:\n    turns[0] += 1\n    time.sleep(0.001)\n"
      "threading.Thread(target=spin, daemon=True).start()");
  const auto count = [this] { return std::stoll(run("print(turns[0])").output); };
  run("time.sleep(0.1)");
  const auto begin = count();
  EXPECT_GT(begin, 10);
  session_->rest();
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  const auto rested = count() - begin;
  EXPECT_LT(rested, 100);
  run("time.sleep(0.1)");
  EXPECT_GT(count() - begin - rested, 10) << "it goes on where it was";
}

TEST_P(SandboxTest, CallsReachTheHostAndItsErrorsReachTheProgram) {
  open({}, {.context = "", .functions = {"llm_query", "llm_query_batched"}});
  call_ = [](const std::string& function, const json& arguments) -> base::Result<json> {
    if (function == "llm_query_batched") return json(arguments.at("prompts").size());
    if (arguments.at("prompt") == "fail") return base::Error{base::Code::kExhausted, "the budget is spent"};
    return json("<" + arguments.at("prompt").get<std::string>() + ">");
  };
  const BlockResult asked = run("a = llm_query('hi \u00e9')\nprint(a, llm_query_batched(['x', 'y']))");
  EXPECT_EQ(asked.output, "<hi \u00e9> 2\n");
  EXPECT_EQ(asked.calls, 2);
  EXPECT_EQ(run("try:\n  llm_query('fail')\nexcept RuntimeError as e:\n  print('caught', e)").output,
            "caught the budget is spent\n");
  EXPECT_THAT(run("llm_query('fail')").error, HasSubstr("the budget is spent"));
}

TEST_P(SandboxTest, EveryWayToFinish) {
  open();
  EXPECT_EQ(run("answer['content'] = 'not yet'").final_answer, std::nullopt);
  EXPECT_EQ(run("answer['content'] = 'forty-two'\nanswer['ready'] = True").final_answer, "forty-two");
  open();
  const BlockResult by_call = run("print('a')\nFINAL(42)\nprint('never')");
  EXPECT_EQ(by_call.final_answer, "42");
  EXPECT_EQ(by_call.output, "a\n");
  EXPECT_EQ(by_call.error, "");
  EXPECT_EQ(run("found = 'here'\nFINAL_VAR('found')").final_answer, "here");
  EXPECT_THAT(run("FINAL_VAR('absent')").error, HasSubstr("absent"));
}

TEST_P(SandboxTest, OutputIsCutAndCounted) {
  open();
  const BlockResult block = run("print('x' * 50000)");
  EXPECT_EQ(block.output.size(), 20'000U);
  EXPECT_EQ(block.output_chars, 50'001);
}

TEST_P(SandboxTest, CommonModulesAreThere) {
  open();
  EXPECT_EQ(run("import re, json, math\nfrom collections import Counter\nprint(re.findall('a+', 'baac'), "
                "json.loads('[1]'), math.floor(2.5), Counter('aab')['a'])")
                .output,
            "['aa'] [1] 2 2\n");
}

TEST_P(SandboxTest, ALargeContextFits) {
  const std::string text(6'000'000, 'y');
  open({}, {.context = text, .functions = {}});
  EXPECT_EQ(run("print(len(context))").output, "6000000\n");
}

/// It goes over in pieces, which end between characters.
TEST_P(SandboxTest, ALongContextOfManyCharactersComesOverWhole) {
  std::string text = "x";  // so that no piece ends where a character does by chance
  while (text.size() < 3'500'000) text += "\u65e5\u00e9\U0001f600";
  open({}, {.context = text, .functions = {}});
  EXPECT_EQ(
      run("print(len(context), context[1:4] * 388888 == context[1:1 + 3 * 388888], context[-1])").output,
      "1166668 True \U0001f600\n");
  json parts = json::array({"", text, "", "last"});
  for (int i = 0; i < 100'000; ++i) parts.push_back("p");
  open({}, {.context = parts, .functions = {}});
  EXPECT_EQ(run("print(len(context), len(context[1]), context[0] == context[2] == '', context[3], "
                "context[100003], context[1][-1])")
                .output,
            "100004 1166668 True last p \U0001f600\n");
  open({}, {.context = json::array(), .functions = {}});
  EXPECT_EQ(run("print(context)").output, "[]\n");
}

TEST_P(SandboxTest, CancellingEndsTheStartOfASession) {
  open();
  const base::CancelToken cancel;
  std::thread leaves([cancel] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    cancel.cancel();
  });
  const SessionSetup setup{.context = std::string(100'000'000, 'y'), .functions = {}, .cancel = cancel};
  const auto session = sandbox_->session(setup);
  leaves.join();
  ASSERT_FALSE(session);
  EXPECT_EQ(session.error().code, base::Code::kCancelled);
}

TEST_P(SandboxTest, OneTenantCanNotHoldEverySandbox) {
  auto opened = Sandbox::open(
      {.kind = GetParam(), .monty_home = PMT_MONTY_HOME, .warm = 1, .running_max = 4, .tenants = true});
  if (!opened) GTEST_SKIP() << opened.error().message;
  const auto session = [&](const std::string& tenant) {
    return (*opened)->session({.context = "", .functions = {}, .tenant = tenant});
  };
  auto first = session("greedy"), second = session("greedy"), third = session("greedy");
  ASSERT_TRUE(first && second);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, base::Code::kExhausted);
  EXPECT_THAT(third.error().message, HasSubstr("this tenant holds 2 of 4 sandboxes"));
  auto other = session("other");
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ((*other)->run("print(1)", call_, {})->output, "1\n");
  first->reset();
  EXPECT_TRUE(session("greedy")) << "one has ended";
}

TEST_P(SandboxTest, CancellingEndsTheProgram) {
  open();
  base::CancelToken cancel;
  cancel.cancel();
  const auto block = session_->run("while True: pass", call_, cancel);
  ASSERT_FALSE(block);
  EXPECT_EQ(block.error().code, base::Code::kCancelled);
}

TEST_P(SandboxTest, SessionsKnowNothingOfEachOther) {
  open();
  run("secret = 1");
  const auto second = sandbox_->session({.context = "", .functions = {}});
  ASSERT_TRUE(second) << second.error().message;
  EXPECT_THAT((*second)->run("print(secret)", call_, {})->error, HasSubstr("NameError"));
}

/// The number: what a turn costs over its code, with everything warm.
TEST_P(SandboxTest, ATurnCostsUnderFiveMilliseconds) {
  open();
  run("pass");
  std::vector<double> ms;
  for (int i = 0; i < 51; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    run("pass");
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  std::ranges::nth_element(ms, ms.begin() + 25);
  RecordProperty("median_turn_us", static_cast<int>(ms[25] * 1e3));
  EXPECT_LT(ms[25], 5);
}

TEST(Sandbox, WithNeitherKindNothingRuns) {
  const auto none = Sandbox::open({.bubblewrap = "/nonexistent/bwrap", .monty_home = ""});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, base::Code::kUnavailable);
  EXPECT_THAT(none.error().message, HasSubstr("apt-get install bubblewrap"));
  EXPECT_THAT(none.error().message, HasSubstr("pydantic-monty"));
}

TEST(Sandbox, WhereNamespacesAreRefusedTheOtherKindServes) {
  const std::string refuses = "/bin/false";  // as bubblewrap ends where the kernel says no
  const auto open = Sandbox::open({.bubblewrap = refuses, .monty_home = PMT_MONTY_HOME});
  if (!open) GTEST_SKIP() << open.error().message;
  EXPECT_EQ((*open)->kind(), Kind::kMonty);
}

}  // namespace
}  // namespace pmt::sandbox
