// The table of sessions, and sessions of both kinds of root through the engine.
#include "rlm/sessions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "llm/sinks.h"
#include "rlm/engine.h"
#include "rlm/rlm_request.h"
#include "rlm/test_models.h"

namespace pmt::rlm {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using testing::HasSubstr;

class SessionsTest : public testing::Test {
 protected:
  /// Answers once in it. Returns whether it was there already.
  static bool use(Sessions& sessions, const std::string& tenant, const std::string& id,
                  std::size_t bytes = 0) {
    auto lease = sessions.take(tenant, id);
    EXPECT_TRUE(lease) << lease.error().message;
    const bool was_there = lease->resumed();
    const auto held = sessions.hold(*lease, bytes);
    EXPECT_TRUE(held) << held.error().message;
    lease->keep("q", "a");
    return was_there;
  }
  static std::vector<std::string> ids(const Sessions& sessions, const std::string& tenant) {
    std::vector<std::string> out;
    for (const auto& one : sessions.list(tenant)) out.push_back(one.id);
    return out;
  }

  base::FakeClock clock_;
};

TEST_F(SessionsTest, ATenantHasItsOwn) {
  Sessions sessions({}, clock_);
  EXPECT_FALSE(use(sessions, "ann", "s"));
  EXPECT_FALSE(use(sessions, "ben", "s"));
  EXPECT_TRUE(use(sessions, "ann", "s"));
  EXPECT_EQ(sessions.list("ann").at(0).turns, 2);
  EXPECT_EQ(sessions.list("ben").at(0).turns, 1);
  EXPECT_EQ(sessions.end("cy", "s").error().code, base::Code::kNotFound);
  EXPECT_TRUE(sessions.end("ann", "s"));
  EXPECT_THAT(ids(sessions, "ann"), testing::IsEmpty());
  EXPECT_THAT(ids(sessions, "ben"), testing::ElementsAre("s"));
}

TEST_F(SessionsTest, OneRequestHasItAtATime) {
  Sessions sessions({}, clock_);
  auto first = sessions.take("", "s");
  const auto second = sessions.take("", "s");
  EXPECT_EQ(second.error().code, base::Code::kConflict);
  EXPECT_EQ(second.error().field, kSessionField);
  EXPECT_THAT(second.error().message, HasSubstr("send this one when that has ended"));
  EXPECT_EQ(sessions.end("", "s").error().code, base::Code::kConflict);
  EXPECT_TRUE(sessions.list("").at(0).busy);
}

TEST_F(SessionsTest, WhatAnsweredNothingIsForgotten) {
  Sessions sessions({}, clock_);
  { const auto lease = sessions.take("", "s"); }
  EXPECT_THAT(ids(sessions, ""), testing::IsEmpty());
  use(sessions, "", "s");
  { const auto failed = sessions.take("", "s"); }
  EXPECT_THAT(ids(sessions, ""), testing::ElementsAre("s")) << "but not for a later request that fails";
}

TEST_F(SessionsTest, AnIdleOneIsClosed) {
  Sessions sessions({.idle_s = 60}, clock_);
  use(sessions, "", "early");
  clock_.advance(seconds(40));
  use(sessions, "", "late");
  clock_.advance(seconds(19));
  sessions.close_idle();
  EXPECT_THAT(ids(sessions, ""), testing::ElementsAre("early", "late"));
  clock_.advance(seconds(1));
  sessions.close_idle();
  EXPECT_THAT(ids(sessions, ""), testing::ElementsAre("late"));
  const auto busy = sessions.take("", "late");
  clock_.advance(seconds(1'000));
  sessions.close_idle();
  EXPECT_THAT(ids(sessions, ""), testing::ElementsAre("late")) << "nobody knows how long an answer takes";
  const auto totals = sessions.totals();
  EXPECT_EQ(totals.begun, 2U);
  EXPECT_EQ(totals.resumed, 1U);
  EXPECT_EQ(totals.closed_idle, 1U);
  EXPECT_EQ(totals.open, 1U);
  EXPECT_EQ(totals.busy, 1U);
}

TEST_F(SessionsTest, TheLeastRecentlyUsedMakesRoom) {
  Sessions sessions({.all_max = 9, .tenant_max = 2}, clock_);
  for (const char* id : {"a", "b", "a", "c"}) {
    use(sessions, "", id);
    clock_.advance(seconds(1));
  }
  EXPECT_THAT(ids(sessions, ""), testing::ElementsAre("a", "c"));
  EXPECT_EQ(sessions.totals().closed_for_room, 1U);
  EXPECT_EQ(sessions.totals().resumed, 1U);
  const auto a = sessions.take("", "a");
  const auto d = sessions.take("", "d");
  const auto none = sessions.take("", "e");
  EXPECT_EQ(none.error().code, base::Code::kExhausted);
  EXPECT_THAT(none.error().message, HasSubstr("2 sessions of this tenant are being answered"));
  EXPECT_EQ(none.error().field, kSessionField);
}

TEST_F(SessionsTest, AnotherTenantsMakesRoomOnlyWhereItHasMore) {
  Sessions sessions({.all_max = 3, .tenant_max = 3}, clock_);
  use(sessions, "greedy", "a");
  clock_.advance(seconds(1));
  use(sessions, "greedy", "b");
  use(sessions, "greedy", "c");
  use(sessions, "modest", "s");
  EXPECT_THAT(ids(sessions, "greedy"), testing::ElementsAre("b", "c"));
  use(sessions, "greedy", "d");
  EXPECT_EQ(ids(sessions, "greedy").size(), 2U) << "its own went, not the other's";
  EXPECT_THAT(ids(sessions, "modest"), testing::ElementsAre("s"));
  const auto one = sessions.take("greedy", ids(sessions, "greedy")[0]);
  const auto two = sessions.take("greedy", "d");
  const auto full = sessions.take("greedy", "e");
  EXPECT_EQ(full.error().code, base::Code::kUnavailable);
  EXPECT_THAT(full.error().message, HasSubstr("rlm.sessions_max"));
}

TEST_F(SessionsTest, ContextsAreBoundedTogether) {
  Sessions sessions({.bytes_max = 100}, clock_);
  use(sessions, "", "a", 60);
  clock_.advance(seconds(1));
  use(sessions, "", "b", 30);
  clock_.advance(seconds(1));
  use(sessions, "", "c", 30);
  EXPECT_THAT(ids(sessions, ""), testing::ElementsAre("b", "c")) << "60 + 30 + 30 are too many";
  auto lease = sessions.take("", "b");
  ASSERT_TRUE(lease);
  const auto never = sessions.hold(*lease, 71);
  EXPECT_EQ(never.error().code, base::Code::kTooLarge);
  EXPECT_THAT(never.error().message, HasSubstr("rlm.sessions_mb"));
  const auto other = sessions.take("", "c");
  EXPECT_EQ(sessions.hold(*lease, 60).error().code, base::Code::kUnavailable);
  EXPECT_TRUE(sessions.hold(*lease, 40));
}

TEST_F(SessionsTest, HistoryIsBounded) {
  Sessions sessions({}, clock_);
  auto lease = sessions.take("", "s");
  ASSERT_TRUE(lease);
  for (int i = 0; i < 200; ++i) lease->keep(std::to_string(i), std::string(100'000, 'x'));
  EXPECT_EQ(lease->session().history.size(), 50U);
  EXPECT_EQ(lease->session().history.back().question, "199");
  EXPECT_EQ(lease->session().history.back().answer.size(), 4'000U);
}

std::string block(const std::string& code) {
  return "```repl\n" + code + "\n```\n";
}

/// One engine, whose root says what the test has it say; the sandbox is real.
class SessionAnswers : public testing::Test {
 protected:
  void SetUp() override { open({.monty_home = PMT_MONTY_HOME, .warm = 1}); }
  void open(sandbox::SandboxOptions wanted) {
    engine_.reset();
    auto sandbox = sandbox::Sandbox::open(std::move(wanted));
    if (!sandbox) GTEST_SKIP() << sandbox.error().message;
    sandbox_ = std::move(*sandbox);
    make_engine(0);
  }
  void make_engine(std::int64_t parameters) {
    RlmOptions options{.root = {.completer = &model_, .name = "root", .parameters = parameters},
                       .leaf = {.completer = &model_, .name = "root", .parameters = parameters}};
    options.sandbox = sandbox_.get();
    engine_ = std::make_unique<RecursiveLanguageModel>(std::move(options), clock_);
  }
  /// One request of the session "s"; unset: without a context.
  std::vector<llm::Event> ask(const std::string& says, std::optional<std::string> context = {},
                              const std::string& question = "How many?") {
    says_ = says;
    llm::Request request;
    request.id = "r";
    request.tenant = tenant_;
    request.messages = {message("user", question)};
    RlmRequest rlm{.iterations_max = 2, .session = id_};
    if (context) rlm.context = {*context};
    request.options.set(std::move(rlm));
    return run(std::move(request));
  }
  std::vector<llm::Event> run(llm::Request request) {
    const auto sink = std::make_shared<llm::CollectingSink>();
    engine_->start(std::move(request), sink, cancel_);
    return sink->wait();
  }
  static json told(const std::vector<llm::Event>& events) {
    const auto* done = std::get_if<llm::Done>(&events.back());
    return done == nullptr ? json() : done->report.engine.at("context_strategy").at("session");
  }
  static base::Error failure(const std::vector<llm::Event>& events) {
    const auto* failed = std::get_if<llm::Failed>(&events.back());
    return failed == nullptr ? base::Error{base::Code::kInternal, "it answered"} : failed->error;
  }

  base::SystemClock clock_;
  base::CancelToken cancel_;
  std::string tenant_, id_ = "s", says_;
  llm::Request last_;
  FunctionModel model_{[this](const llm::Request& request) -> base::Result<std::string> {
    last_ = request;
    return says_;
  }};
  std::unique_ptr<sandbox::Sandbox> sandbox_;
  std::unique_ptr<RecursiveLanguageModel> engine_;
};

TEST_F(SessionAnswers, VariablesAndTheContextStay) {
  const auto first = ask(block("rows = context.split()\nFINAL(len(rows))"), "a b c");
  EXPECT_EQ(llm::text_of(first), "3");
  EXPECT_EQ(told(first).at("turn"), 1);
  EXPECT_EQ(told(first).at("resumed"), false);
  EXPECT_THAT(told(first).at("why"), HasSubstr("it is new"));

  const auto second = ask(block("FINAL(rows[2] + context + history[0]['answer'] + str(answer['ready']))"), {},
                          "And the last?");
  EXPECT_EQ(llm::text_of(second), "ca b c3False");
  EXPECT_EQ(told(second), json::parse(R"({"id": "s", "turn": 2, "resumed": true, "contexts": 1})"));
  const std::string shown = last_.messages.at(1).content;
  EXPECT_THAT(shown, HasSubstr("question 2 of a session"));
  EXPECT_THAT(shown, HasSubstr("- How many? -> 3"));
  EXPECT_THAT(shown, HasSubstr("rows"));
}

TEST_F(SessionAnswers, AnotherContextStandsBesideTheEarlierOne) {
  ask(block("FINAL(1)"), "old text");
  const auto events =
      ask(block("FINAL([context, context_0, context_1, context_search('newer', 1)[0]['text']])"), "newer");
  EXPECT_EQ(llm::text_of(events), "['newer', 'old text', 'newer', 'newer']");
  EXPECT_EQ(told(events).at("contexts"), 2);
  EXPECT_THAT(last_.messages.at(1).content, HasSubstr("`context_0` is one str of 8 characters"));
  EXPECT_EQ(told(ask(block("FINAL(1)"), "newer")).at("contexts"), 2) << "the same again is no other";
}

TEST_F(SessionAnswers, ATextOfAnySignsComesBackAsItWas) {
  const std::string odd = "quote \" backslash \\n \xF0\x9F\x98\x80 \xC3\xA9 \xE2\x80\xA8 {braces}\ttab\x01";
  ask(block("FINAL(context)"), odd, "q: " + odd);
  EXPECT_EQ(llm::text_of(ask(block(
                "FINAL(history[0]['answer'] == context and history[0]['question'] == 'q: ' + context)"))),
            "True");
}

TEST_F(SessionAnswers, WithoutAContextAnUnknownOneIsRefused) {
  const auto refused = failure(ask(block("FINAL(1)")));
  EXPECT_EQ(refused.code, base::Code::kNotFound);
  EXPECT_EQ(refused.field, kSessionField);
  EXPECT_THAT(refused.message, HasSubstr("send the context again"));
  EXPECT_EQ(llm::text_of(ask(block("n = 1\nFINAL(n)"), "")), "1") << "an empty one is a context";
  EXPECT_EQ(llm::text_of(ask(block("FINAL(n + 1)"))), "2");
}

TEST_F(SessionAnswers, AProcessThatDiesIsToldAndAllButTheVariablesStays) {
  ask(block("kept = 1\nFINAL(kept)"), "first");
  ask(block("FINAL(kept)"), "second");
  const auto died = ask(block("import os\nos._exit(3)") +
                        block("FINAL([len(context), context_0, history[0]['answer'], 'kept' in globals()])"));
  if (sandbox_->kind() == sandbox::Kind::kMonty) GTEST_SKIP() << "a program of monty's can't end its process";
  EXPECT_EQ(llm::text_of(died), "[6, 'first', '1', False]");
  EXPECT_EQ(told(died).at("resumed"), false);
  EXPECT_THAT(told(died).at("why"), HasSubstr("variables are gone: the program ended its own process"));
  EXPECT_EQ(told(ask(block("FINAL(1)"))).at("resumed"), true) << "it is told once";
}

TEST_F(SessionAnswers, ACancelledAnswerLosesTheVariablesAndSaysSo) {
  ask(block("kept = 1\nFINAL(kept)"), "text");
  std::thread leaving([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    cancel_.cancel();
  });
  EXPECT_EQ(failure(ask(block("while True:\n  pass"))).code, base::Code::kCancelled);
  leaving.join();
  cancel_ = {};
  const auto after = ask(block("FINAL(context)"));
  EXPECT_EQ(llm::text_of(after), "text");
  EXPECT_EQ(told(after).at("turn"), 2) << "what was cancelled doesn't count";
  EXPECT_EQ(told(after).at("resumed"), false);
}

TEST_F(SessionAnswers, AnIdleOneLendsItsSandbox) {
  open({.monty_home = PMT_MONTY_HOME, .warm = 1, .running_max = 1});
  if (!engine_) return;  // skipped
  ask(block("kept = 1\nFINAL(kept)"), "text");
  id_ = "";
  EXPECT_EQ(llm::text_of(ask(block("FINAL(len(context))"), "four")), "4") << "else: 1 sandboxes run already";
  id_ = "s";
  const auto back = ask(block("FINAL(context)"));
  EXPECT_EQ(llm::text_of(back), "text");
  EXPECT_THAT(told(back).at("why"), HasSubstr("needed for another request"));
}

TEST_F(SessionAnswers, TwoAtOnceAreRefused) {
  std::vector<llm::Event> inner;
  FunctionModel slow([&](const llm::Request&) -> base::Result<std::string> {
    llm::Request request;
    request.messages = {message("user", "q")};
    request.options.set(RlmRequest{.context = {"c"}, .session = "s"});
    const auto sink = std::make_shared<llm::CollectingSink>();
    engine_->start(std::move(request), sink, {});
    inner = sink->wait();
    return block("FINAL(1)");
  });
  RlmOptions options{.root = {.completer = &slow, .name = "root"},
                     .leaf = {.completer = &slow, .name = "root"}};
  options.sandbox = sandbox_.get();
  engine_ = std::make_unique<RecursiveLanguageModel>(std::move(options), clock_);
  EXPECT_EQ(llm::text_of(ask("", "c")), "1");
  EXPECT_EQ(failure(inner).code, base::Code::kConflict);
}

TEST_F(SessionAnswers, ARootThatWritesNoProgramsKeepsTheContext) {
  make_engine(135'000'000);
  const std::string records = "id=1 city=Lisbon\nid=2 city=Oslo\nid=3 city=Lisbon\nid=4 city=Rome\n";
  EXPECT_EQ(llm::text_of(ask("", records, "How many records have city Lisbon?")).substr(0, 1), "2");
  const auto second = ask("", {}, "How many records have city Oslo?");
  EXPECT_EQ(llm::text_of(second).substr(0, 1), "1");
  EXPECT_EQ(told(second).at("resumed"), true);
  EXPECT_FALSE(engine_->sessions().list("").at(0).repl);
}

TEST_F(SessionAnswers, WhatWasSaidBeforeIsNoOtherContext) {
  ask(block("FINAL(1)"), "the text");
  says_ = block("FINAL(context)");
  llm::Request request;
  request.messages = {message("user", "How many?"), message("assistant", "1"), message("user", "And now?")};
  request.options.set(RlmRequest{.session = "s"});
  const auto events = run(std::move(request));
  EXPECT_EQ(llm::text_of(events), "the text");
  EXPECT_THAT(std::get<llm::Done>(events.back()).report.ignored,
              testing::Contains("messages before the last"));
}

}  // namespace
}  // namespace pmt::rlm
