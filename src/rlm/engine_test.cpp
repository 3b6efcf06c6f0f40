#include "rlm/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>
#include <vector>

#include "base/json.h"
#include "llm/sinks.h"
#include "rlm/rlm_request.h"
#include "rlm/sandbox_fixture.h"
#include "rlm/test_models.h"
#include "rlm/trajectory.h"

namespace pmt::rlm {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string block(const std::string& code) {
  return "Let me see.\n```repl\n" + code + "\n```\n";
}

class RlmTest : public SandboxTest {
 protected:
  /// The root says `turns` in order, at every depth from the beginning.
  std::vector<llm::Event> run(std::vector<std::string> turns, llm::Request request) {
    FunctionModel root([&turns, this](const llm::Request& r) -> base::Result<std::string> {
      last_root_ = r;
      std::size_t said = 0;
      for (const auto& m : r.messages) said += m.role == "assistant" ? 1 : 0;
      return turns.at(std::min(said, turns.size() - 1));
    });
    return run_with(root, std::move(request));
  }
  std::vector<llm::Event> run_with(llm::Completer& root, llm::Request request) {
    FunctionModel leaf([this](const llm::Request& r) {
      ++leaf_calls_;
      last_leaf_ = r;
      return leaf_(r);
    });
    RlmOptions options{.root = {.completer = &root, .name = "root"},
                       .leaf = {.completer = &leaf, .name = "leaf", .price = leaf_price_}};
    options.root.parameters = root_parameters_;
    options.leaf.parameters = leaf_parameters_;
    options.sandbox = sandbox_.get();
    options.trajectory_dir = trajectory_dir_;
    options.budget = budget_;
    options.on_progress = on_progress_;
    RecursiveLanguageModel rlm(std::move(options), clock_);
    const auto sink = std::make_shared<llm::CollectingSink>();
    rlm.start(std::move(request), sink, cancel_);
    return sink->wait();
  }
  static llm::Request ask(const std::string& question, const std::string& context) {
    llm::Request request;
    request.id = "r1";
    request.model = kModelName;
    request.messages = {message("user", question)};
    request.options.set(RlmRequest{.context = {context}});
    return request;
  }
  static const llm::Done& done(const std::vector<llm::Event>& events) {
    return std::get<llm::Done>(events.back());
  }
  static std::string failure(const std::vector<llm::Event>& events) {
    const auto* failed = std::get_if<llm::Failed>(&events.back());
    return failed == nullptr ? "" : failed->error.message;
  }

  base::CancelToken cancel_;
  FunctionModel::Function leaf_ = [](const llm::Request& r) { return "<" + r.messages.back().content + ">"; };
  llm::Request last_root_, last_leaf_;
  std::atomic<int> leaf_calls_ = 0;
  std::function<double(const llm::Usage&)> leaf_price_;
  std::int64_t root_parameters_ = 0, leaf_parameters_ = 0;
  std::string trajectory_dir_;
  BudgetLimits budget_;
  std::function<void(const std::string&)> on_progress_ = [](const std::string&) {};
};

TEST_F(RlmTest, TheSourcesOfItsCallsAreTheAnswers) {
  const json handbook{{"document", "a.md"}, {"passage", 0}}, prices{{"document", "b.csv"}, {"passage", 2}};
  int asked = 0;
  FunctionModel root([&](const llm::Request&) -> base::Result<std::string> {
    const bool first = asked++ == 0;
    root.engine = {{"documents",
                    {{"attached", first ? "text" : "packs"},
                     {"exact", first},
                     {"sources", first ? json{handbook} : json{handbook, prices}}}}};
    return block(first ? "print(1)" : "answer['content'] = 'x'\nanswer['ready'] = True");
  });
  const auto events = run_with(root, ask("What is the code?", "none"));
  const json documents = done(events).report.engine.at("documents");
  EXPECT_EQ(documents.at("sources"), (json{handbook, prices})) << "each once";
  EXPECT_EQ(documents.at("exact"), false);
  EXPECT_EQ(documents.at("attached"), "packs");
}

TEST_F(RlmTest, TheRootFindsANeedleWithAProgram) {
  const std::string hay(200'000, 'x');
  const auto events = run({block("at = context.find('code')\nprint(context[at:at + 12])"),
                           block("answer['content'] = 'the ' + context[at:at + 9]\nanswer['ready'] = True")},
                          ask("What is the code?", hay + " code 4711 " + hay));
  EXPECT_EQ(llm::text_of(events), "the code 4711");
  EXPECT_EQ(std::get<llm::Started>(events.front()).model, "rlm");
  EXPECT_THAT(last_root_.messages.at(4).content, HasSubstr("code 4711")) << "the output came back";
  EXPECT_THAT(last_root_.messages.at(1).content, HasSubstr("400011 characters"));
  const json engine = done(events).report.engine;
  EXPECT_EQ(engine.at("final_answer"), "the code 4711");
  EXPECT_EQ(engine.at("performance").at("total_calls"), 2);
  EXPECT_EQ(engine.at("repl_history").size(), 2U);
  EXPECT_EQ(engine.at("context_strategy").at("turns"), 2);
  EXPECT_EQ(done(events).usage.prompt_tokens, 20);
}

/// The sum of its calls, each at its own model's price: no price table knows the whole.
TEST_F(RlmTest, AnAnswerSaysWhatItCost) {
  leaf_price_ = [](const llm::Usage& usage) { return static_cast<double>(usage.completion_tokens); };
  llm::Request request = ask("q", "c");
  request.key = "ann";
  const auto events = run({block("FINAL(llm_query('a') + llm_query('bc'))")}, std::move(request));
  EXPECT_EQ(last_leaf_.key, "ann") << "who pays";
  EXPECT_EQ(llm::text_of(events), "<a><bc>");
  EXPECT_EQ(done(events).usage.usd, 7) << "3 and 4 tokens; the root is free";
}

TEST_F(RlmTest, LeavesAreAskedSideBySideInOrder) {
  const auto events =
      run({block("print(llm_query('one'))\nFINAL(llm_query_batched(['a', 'b', 'c']))")}, ask("q", "c"));
  EXPECT_EQ(llm::text_of(events), "['<a>', '<b>', '<c>']");
  EXPECT_EQ(last_leaf_.surface, base::Surface::kRlm);
  EXPECT_EQ(last_leaf_.kv.ratio, 8);
  const json kv = done(events).report.engine.at("kv_cache_compression");
  EXPECT_EQ(kv.at("enabled"), true);
  EXPECT_EQ(kv.at("compression_ratio"), 8.0);
  EXPECT_EQ(kv.at("speculation").at("accepted"), 15);
}

TEST_F(RlmTest, FailingLeavesAreErrorsInTheProgram) {
  leaf_ = [](const llm::Request& r) -> base::Result<std::string> {
    if (r.messages.back().content == "bad")
      return base::Error{base::Code::kTooLarge, "too long for the model"};
    return "ok";
  };
  const auto events = run(
      {block("print(llm_query('bad'))"), block("FINAL(llm_query_batched(['good', 'bad']))")}, ask("q", "c"));
  EXPECT_THAT(last_root_.messages.at(4).content, HasSubstr("RuntimeError: too long for the model"));
  EXPECT_EQ(llm::text_of(events), "['ok', 'Error: too long for the model']");
}

TEST_F(RlmTest, SyntaxErrorsAndExceptionsGoBackToTheRoot) {
  const auto events =
      run({block("x = 41\nraise KeyError('oops')"), block("for"), block("FINAL(x + 1)")}, ask("q", "c"));
  EXPECT_EQ(llm::text_of(events), "42") << "variables survive exceptions";
  EXPECT_THAT(last_root_.messages.at(4).content, HasSubstr("KeyError"));
  EXPECT_THAT(last_root_.messages.at(7).content, HasSubstr("SyntaxError"));
}

TEST_F(RlmTest, TextFinalsAreAccepted) {
  EXPECT_EQ(llm::text_of(run({"I know it.\nFINAL(forty-two)"}, ask("q", "c"))), "forty-two");
  EXPECT_EQ(llm::text_of(run({block("v = 'from a variable'"), "FINAL_VAR(v)"}, ask("q", "c"))),
            "from a variable");
}

TEST_F(RlmTest, TurnsAreLimitedAndTheRootHasALastWord) {
  llm::Request request = ask("q", "c");
  request.options.set(RlmRequest{.context = {"c"}, .iterations_max = 3});
  const auto events = run({block("pass"), block("pass"), block("pass"), "my best guess"}, request);
  EXPECT_EQ(llm::text_of(events), "my best guess");
  EXPECT_EQ(done(events).report.engine.at("context_strategy").at("ended"), "the turns were used up");
}

TEST_F(RlmTest, ARepeatedBlockIsToldAndTheLastTurnsAskForAnAnswer) {
  llm::Request request = ask("q", "c");
  request.options.set(RlmRequest{.context = {"c"}, .iterations_max = 4});
  const auto events = run({block("context_search('refunds')"), block("context_search('refunds')"),
                           block("len(context)"), block("FINAL(1)")},
                          request);
  EXPECT_EQ(llm::text_of(events), "1");
  const auto said = [this](std::size_t i) { return last_root_.messages.at(i).content; };
  EXPECT_THAT(said(4), testing::Not(HasSubstr("before")));
  EXPECT_THAT(said(7), HasSubstr("You ran this block before"));
  EXPECT_THAT(said(10), HasSubstr("Output:\n1")) << "an expression's value is shown";
  EXPECT_EQ(said(5), "Turn 2 of 4.");
  EXPECT_THAT(said(8), HasSubstr("in this turn or the next"));
  EXPECT_THAT(said(11), HasSubstr("It is the last"));
}

TEST_F(RlmTest, AnAnswerThatNoCodeGaveIsMarked) {
  const auto unverified = [this](std::vector<std::string> turns) {
    llm::Request request = ask("q", "c");
    request.options.set(RlmRequest{.context = {"c"}, .iterations_max = 2});
    const auto events = run(std::move(turns), request);
    return done(events).report.engine.at("context_strategy").at("unverified").get<bool>();
  };
  EXPECT_FALSE(unverified({block("FINAL(len(context))")}));
  EXPECT_FALSE(unverified({block("n = len(context)") + "FINAL_VAR(n)"}));
  EXPECT_TRUE(unverified({"FINAL(1000)"}));
  EXPECT_TRUE(unverified({block("pass"), block("x = 1"), "my best guess"}));
}

TEST_F(RlmTest, RecursionEndsAtTheDepthLimit) {
  llm::Request request = ask("q", "c");
  request.options.set(RlmRequest{.context = {"c"}, .depth_max = 3});
  const auto events = run({block("FINAL('(' + rlm_query('deeper') + ')')")}, request);
  EXPECT_EQ(llm::text_of(events),
            "(((<deeper>)))"
            "")
      << "the last level asks the leaf";
  EXPECT_EQ(leaf_calls_, 1);
  EXPECT_EQ(done(events).report.engine.at("performance").at("total_depth"), 2);
}

TEST_F(RlmTest, ChildrenHaveContextsAndVariablesOfTheirOwn) {
  FunctionModel root([](const llm::Request& r) -> base::Result<std::string> {
    if (r.messages.at(1).content.find("count the letters") != std::string::npos)
      return block("FINAL(len(context))");
    return block(
        "mine = 1\nFINAL([rlm_query('count the letters', context='abc'), "
        "rlm_query_batched(['count the letters'])])");
  });
  EXPECT_EQ(llm::text_of(run_with(root, ask("q", "c"))), "['3', ['17']]");
}

TEST_F(RlmTest, OneBudgetHoldsForTheWholeTree) {
  llm::Request request = ask("q", "c");
  request.budget.tokens = 30'000;
  const auto events =
      run({block("n = 0\ntry:\n  while True:\n    llm_query('x' * 100)\n    n += 1\nexcept RuntimeError as "
                 "e:\n  FINAL(str(e))")},
          request);
  EXPECT_THAT(llm::text_of(events), HasSubstr("the budget of 30000 tokens"));
  EXPECT_LE(done(events).usage.prompt_tokens + done(events).usage.completion_tokens, 30'000);

  request.budget.tokens = 100;
  EXPECT_THAT(failure(run({"never asked"}, request)), HasSubstr("budget of 100 tokens"));
}

TEST_F(RlmTest, ThoughtsAreNoProgram) {
  FunctionModel root([this](const llm::Request& r) -> base::Result<std::string> {
    last_root_ = r;
    return block("FINAL('said')");
  });
  root.thought = block("FINAL('thought')");
  llm::Request request = ask("q", "c");
  request.thinking.budget_tokens = 9;
  EXPECT_EQ(llm::text_of(run_with(root, request)), "said");
  EXPECT_EQ(last_root_.thinking.budget_tokens, 9) << "every call of the tree thinks as it was asked to";
}

/// A batch is as many calls as it has prompts: what the budget doesn't hold is not sent at all.
TEST_F(RlmTest, EveryPromptOfABatchCounts) {
  budget_.calls = 100;
  const std::string asks =
      "said = []\nfor n in (300000, 60, 60, 38):\n  try:\n    said.append(len(llm_query_batched(['x'] * "
      "n)))\n"
      "  except RuntimeError as e:\n    said.append(str(e))\nFINAL(said)";
  const std::string said = llm::text_of(run({block(asks)}, ask("q", "c")));
  EXPECT_THAT(said,
              HasSubstr("the budget of 100 model calls does not reach: 1 are made or running, and 300000"));
  EXPECT_THAT(said, HasSubstr(", 60, "));
  EXPECT_THAT(said, HasSubstr("61 are made or running, and 60 more"));
  EXPECT_THAT(said, testing::EndsWith(", 38]"));
  EXPECT_EQ(leaf_calls_, 98);
}

TEST_F(RlmTest, EveryChildOfABatchCounts) {
  budget_.calls = 20;
  int root_calls = 0;
  FunctionModel root([&root_calls](const llm::Request&) -> base::Result<std::string> {
    ++root_calls;
    return block("try:\n  FINAL(rlm_query_batched(['x'] * 50))\nexcept RuntimeError as e:\n  FINAL(e)");
  });
  EXPECT_THAT(llm::text_of(run_with(root, ask("q", "c"))), HasSubstr("the budget of 20 model calls"));
  EXPECT_EQ(root_calls, 1);
}

TEST_F(RlmTest, BytesOfPromptsHaveABudget) {
  budget_.bytes = 100'000;
  const auto events =
      run({block("try:\n  llm_query('x' * 200000)\nexcept RuntimeError as e:\n  FINAL(e)")}, ask("q", "c"));
  EXPECT_THAT(llm::text_of(events), HasSubstr("the budget of 100000 bytes of prompts"));
  EXPECT_EQ(leaf_calls_, 0);
}

TEST_F(RlmTest, ARequestCanNotRaiseTheOperatorsBudget) {
  budget_.tokens = 100;
  llm::Request request = ask("q", "c");
  request.budget.tokens = 1'000'000;
  EXPECT_THAT(failure(run({"never asked"}, request)), HasSubstr("budget of 100 tokens"));
}

TEST_F(RlmTest, ATurnOfManyBlocksRunsTheFirst) {
  std::string many;
  for (int i = 0; i < 200; ++i) many += block("ran = " + std::to_string(i + 1));
  EXPECT_EQ(llm::text_of(run({many, block("FINAL(ran)")}, ask("q", "c"))), "16");
  EXPECT_THAT(last_root_.messages.at(4).content, HasSubstr("Only the first 16 blocks"));
}

TEST_F(RlmTest, AModelThatSaysMoreThanItWasAskedForIsCutOff) {
  const auto events = run({std::string(3'000'000, 'x')}, ask("q", "c"));
  EXPECT_THAT(failure(events), HasSubstr("root said more than"));
}

/// Every turn's prompt holds all turns before it: what was shown in full once is not shown so again.
TEST_F(RlmTest, ATrajectoryGrowsWithItsTurnsNotWithTheirSquare) {
  const auto bytes_of = [this](int turns) {
    llm::Request request = ask("q", "c");
    request.options.set(RlmRequest{.context = {"c"}, .iterations_max = turns});
    request.want_trace = true;
    const auto events = run({block("print('y' * 5000)")}, request);
    return static_cast<double>(done(events).report.engine.at("trace").dump().size());
  };
  EXPECT_LT(bytes_of(40) / bytes_of(10), 8);
}

TEST_F(RlmTest, LeavingEndsTheFixedProgramWhereverItIs) {
  root_parameters_ = 135'000'000;
  std::string records, among_prose;
  while (records.size() < 12'000'000) {
    const std::string line = "id=" + std::to_string(records.size()) + " city=Lisbon amount=10\n";
    records += line;
    among_prose += line + "Nothing else was seen there that day, as ever.\n";
  }
  for (const char* phase :
       {"reading records:", "loading records:", "looking for records:", "indexing: ", "searching: "}) {
    cancel_ = {};
    on_progress_ = [&](const std::string& said) {
      if (said.starts_with(phase)) cancel_.cancel();
    };
    const bool counts = std::string_view(phase).find("records") != std::string_view::npos;
    const bool tables = counts && !std::string_view(phase).starts_with("looking");
    const auto events = run({""}, ask(counts ? "How many records have city Lisbon?" : "Which city is it in?",
                                      tables ? records : among_prose));
    EXPECT_EQ(failure(events), "cancelled") << phase;
  }
  EXPECT_EQ(leaf_calls_, 0);
}

TEST_F(RlmTest, ALongTextTellsHowFarItIs) {
  root_parameters_ = 135'000'000;
  std::vector<std::string> said;
  on_progress_ = [&](const std::string& text) { said.push_back(text); };
  run({""}, ask("Where is the heron?", "The heron is in Oslo. " + std::string(20'000'000, 'x')));
  EXPECT_GT(said.size(), 10U);
  EXPECT_THAT(said, testing::Contains(HasSubstr(" of 20.0 MB")));
}

/// One tenant's answers that take long leave room for another's.
TEST_F(RlmTest, OneTenantCanNotHoldEveryPlace) {
  base::CancelToken go_on;
  FunctionModel root([&](const llm::Request& r) -> base::Result<std::string> {
    while (r.tenant == "greedy" && !go_on.cancelled())
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return "FINAL(done)";
  });
  RlmOptions options{.root = {.completer = &root, .name = "root"},
                     .leaf = {.completer = &root, .name = "leaf"}};
  options.sandbox = sandbox_.get();
  options.running_max = 4;
  options.tenants = true;
  RecursiveLanguageModel rlm(std::move(options), clock_);
  const auto start = [&](const std::string& tenant) {
    llm::Request request = ask("q", "c");
    request.tenant = tenant;
    auto sink = std::make_shared<llm::CollectingSink>();
    rlm.start(std::move(request), sink, {});
    return sink;
  };
  const auto first = start("greedy"), second = start("greedy"), third = start("greedy");
  EXPECT_THAT(failure(third->wait()), HasSubstr("2 rlm answers are being made for this tenant"));
  EXPECT_EQ(std::get<llm::Failed>(third->wait().back()).error.code, base::Code::kExhausted);
  EXPECT_EQ(llm::text_of(start("other")->wait()), "done");
  go_on.cancel();
  EXPECT_EQ(llm::text_of(first->wait()), "done");
  EXPECT_EQ(llm::text_of(second->wait()), "done");
}

TEST_F(RlmTest, ARunawayLoopIsStoppedAndTheAnswerGoesOn) {
  sandbox_ = std::move(
      *sandbox::Sandbox::open({.monty_home = PMT_MONTY_HOME, .warm = 1, .limits = {.block_s = 0.5}}));
  const auto events = run({block("x = 1\nwhile True: pass"), block("FINAL('went on')")}, ask("q", "c"));
  EXPECT_EQ(llm::text_of(events), "went on");
  EXPECT_THAT(last_root_.messages.at(4).content, HasSubstr("TimeoutError"));
}

TEST_F(RlmTest, AProgramThatDiesGetsAFreshRepl) {
  if (sandbox_->kind() != sandbox::Kind::kBubblewrap)
    GTEST_SKIP() << "needs a program that can end its process";
  const auto events = run({block("import os\nos._exit(1)"), block("FINAL(context)")}, ask("q", "still here"));
  EXPECT_EQ(llm::text_of(events), "still here");
  EXPECT_THAT(last_root_.messages.at(4).content, HasSubstr("its variables are gone"));
}

TEST_F(RlmTest, CancellingEndsIt) {
  cancel_.cancel();
  EXPECT_EQ(failure(run({block("pass")}, ask("q", "c"))), "cancelled");
}

TEST_F(RlmTest, TheTrajectoryIsAFileOfTheOfficialForm) {
  trajectory_dir_ = testing::TempDir();
  run({block("print(llm_query('hi'))"), block("FINAL(1)")}, ask("q", "c"));
  std::ifstream file(trajectory_dir_ + "/rlm_r1.jsonl");
  std::vector<json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].at("type"), "metadata");
  for (const char* member : {"root_model", "max_depth", "max_iterations", "backend", "backend_kwargs",
                             "environment_type", "environment_kwargs", "other_backends", "timestamp"}) {
    EXPECT_TRUE(lines[0].contains(member)) << member;
  }
  EXPECT_EQ(lines[1].at("type"), "iteration");
  EXPECT_EQ(lines[1].at("iteration"), 1);
  const json result = lines[1].at("code_blocks").at(0).at("result");
  EXPECT_EQ(result.at("stdout"), "<hi>\n");
  EXPECT_EQ(result.at("rlm_calls").at(0).at("response"), "<hi>");
  EXPECT_TRUE(lines[1].at("final_answer").is_null());
  EXPECT_EQ(lines[2].at("final_answer"), "1");
}

TEST(Trajectory, OfAnyNumberOfLevelsFitsAnAnswer) {
  json whole = {{"run_metadata", {{"depth", 0}}}, {"iterations", json::array()}};
  std::size_t kept = 0;
  for (int level = 0; level < 40; ++level) {
    const SubCall call{
        .model = "m", .prompt = "p", .response = "r", .error = "", .usage = {}, .trajectory = whole};
    kept += to_json(call).at("metadata").contains("left_out") ? 0 : 1;
    whole["iterations"] = {{{"code_blocks", {to_json("code", {}, {call, call})}}}};
    ASSERT_TRUE(base::fits_depth({{"permutation", {{"engine", {{"trace", whole}}}}}})) << level;
  }
  EXPECT_GT(kept, 5U) << "the usual number of levels is there whole";
}

TEST_F(RlmTest, ASmallRootGetsAProgramOfOursAndTheAnswerSaysSo) {
  root_parameters_ = leaf_parameters_ = 135'000'000;
  std::string text;
  for (int i = 0; i < 3'000; ++i) text += "Nothing happened on day " + std::to_string(i) + ", as ever.\n\n";
  text += "The gate of the old lighthouse opens with the word heron.\n\n";
  leaf_ = [](const llm::Request& r) {
    return r.messages.back().content.find("heron") != std::string::npos ? "heron" : "?";
  };
  const auto events = run({"never asked"}, ask("Which word opens the gate of the lighthouse?", text));
  EXPECT_THAT(llm::text_of(events), testing::StartsWith("heron\n\"The gate of the old lighthouse"));
  const json strategy = done(events).report.engine.at("context_strategy");
  EXPECT_EQ(strategy.at("program"), "prose");
  EXPECT_THAT(strategy.at("why").get<std::string>(), HasSubstr("135M parameters"));
  EXPECT_GT(strategy.at("chunks_total").get<int>(), 50);
  EXPECT_EQ(leaf_calls_, 1);
}

TEST_F(RlmTest, ThingsThatAreAskedAlikeAreNotRead) {
  root_parameters_ = leaf_parameters_ = 135'000'000;
  std::string text;
  for (int i = 0; i < 200; ++i) text += "Nothing happened on day " + std::to_string(i) + ", as ever.\n\n";
  text += "He went on and on\nThe password of the mill in Oslo is heron.\n\n";
  text += "The password of the mill in Porto is cedar.\n\nThe password of the bank in Oslo is amber.\n\n";
  run({""}, ask("What is the password of the mill in Oslo?", text));
  const std::string read = last_leaf_.messages.back().content;
  EXPECT_THAT(read, HasSubstr("heron"));
  EXPECT_THAT(read, testing::Not(testing::AnyOf(HasSubstr("cedar"), HasSubstr("amber"))));
  EXPECT_THAT(read, testing::Not(HasSubstr("on and on"))) << "a line before it that lost its stop";
  // No sentence tells of both: then what comes near is read.
  run({""}, ask("What is the old password of the mill?", text + "\n\nOld men told many tales there."));
  EXPECT_THAT(last_leaf_.messages.back().content, testing::AllOf(HasSubstr("heron"), HasSubstr("cedar")));
}

TEST_F(RlmTest, AggregatesOfRecordsAreComputedOrSaidNotToBe) {
  root_parameters_ = leaf_parameters_ = 135'000'000;
  std::string records;
  for (int i = 0; i < 500; ++i) {
    records += "id=" + std::to_string(i) + " city=" + (i % 5 == 0 ? "Lisbon" : "Porto") + " amount=10\n";
  }
  auto events = run({""}, ask("How many records have city Lisbon?", records));
  EXPECT_TRUE(llm::text_of(events).starts_with("100 (")) << llm::text_of(events);
  EXPECT_EQ(leaf_calls_, 0);

  leaf_ = [](const llm::Request&) { return "2 of them"; };
  events = run({""}, ask("How many records sound sad?", records));
  EXPECT_THAT(
      llm::text_of(events),
      testing::StartsWith(
          "Not computed: the question says more than a program can make a query of, and root has 135M parameters"));
  EXPECT_EQ(leaf_calls_, 0) << "no passage tells it";
}

TEST_F(RlmTest, WhatWasTaughtAnswersBeforeTheContextIsRead) {
  for (const std::int64_t parameters : {135'000'000LL, 1'500'000'000LL}) {
    std::vector<llm::Request> asked;
    FunctionModel model([&](const llm::Request& r) -> base::Result<std::string> {
      asked.push_back(r);
      return "extension 4417";
    });
    model.knowledge = llm::KnowledgeReport{.domains = {"d"}, .slots_read = 1, .facts = {"d/line"}};
    RlmOptions options{.root = {.completer = &model, .name = "m", .parameters = parameters},
                       .leaf = {.completer = &model, .name = "m", .parameters = parameters}};
    RecursiveLanguageModel rlm(std::move(options), clock_);
    const std::string question = "What is the support line of Zorvane Labs?";
    llm::Request request = ask(question, "The support line of Zorvane Labs was changed last year.");
    request.knowledge = {"d"};
    const auto sink = std::make_shared<llm::CollectingSink>();
    rlm.start(std::move(request), sink, {});
    const auto events = sink->wait();
    EXPECT_EQ(llm::text_of(events), "extension 4417\n(taught: d/line)");
    ASSERT_EQ(asked.size(), 2U);
    for (const llm::Request& one : asked) {
      EXPECT_TRUE(one.response_format.is_free()) << "a form goes before what was taught";
      ASSERT_EQ(one.messages.size(), 1U);
      EXPECT_EQ(one.messages[0].content, question);
    }
    EXPECT_EQ(asked[0].max_tokens, 1);
    EXPECT_EQ(done(events).report.engine.at("context_strategy").at("program"), "knowledge");
    EXPECT_THAT(done(events).report.knowledge->facts, testing::ElementsAre("d/line"));
  }
}

CustomTools tools() {
  return {{"rates", "rates = {'EUR': 3}", "a dict"},
          {"double", "def double(x):\n  return 2 * x\ndouble = double\n", "twice x"}};
}

llm::Request with_tools(llm::Request request, CustomTools tools, std::optional<CustomTools> sub_tools = {}) {
  auto rlm = request.options.take<RlmRequest>();
  rlm.tools = std::move(tools);
  rlm.sub_tools = std::move(sub_tools);
  request.options.set(std::move(rlm));
  return request;
}

TEST_F(RlmTest, ToolsOfTheCallersAreThere) {
  // Records would be asked by SQL, which has no use for tools.
  std::string csv = "id,city\n";
  for (int i = 0; i < 50; ++i) csv += std::to_string(i) + ",Graz\n";
  const auto events =
      run({block("FINAL(double(rates['EUR']))")}, with_tools(ask("How many ids?", csv), tools()));
  EXPECT_EQ(llm::text_of(events), "6") << failure(events);
  EXPECT_THAT(last_root_.messages.at(0).content,
              testing::AllOf(HasSubstr("\n- rates: a dict\n"), HasSubstr("\n- double: twice x\n")));
  run({block("FINAL(1)")}, ask("q", "c"));
  EXPECT_THAT(last_root_.messages.at(0).content, testing::Not(HasSubstr("you were given")));
}

TEST_F(RlmTest, ToolsAreThereAgainAfterAProgramHasDiedAndBelow) {
  if (sandbox_->kind() == sandbox::Kind::kBubblewrap) {
    EXPECT_EQ(llm::text_of(run({block("import os\nos._exit(1)"), block("FINAL(double(2))")},
                               with_tools(ask("q", "c"), tools()))),
              "4");
  }
  // The same turns at each depth: a child that has them doubles, one that hasn't says so.
  const auto below = [&](std::optional<CustomTools> sub_tools) {
    return llm::text_of(run({block("try:\n  x = double(2)\nexcept NameError:\n  x = 'none'\n"
                                   "FINAL(x if context == 'child' else rlm_query('q', 'child'))")},
                            with_tools(ask("q", "c"), tools(), std::move(sub_tools))));
  };
  EXPECT_EQ(below({}), "4");
  EXPECT_EQ(below(CustomTools{}), "none");
}

TEST_F(RlmTest, AToolThatCantBeSetUpIsTheCallersError) {
  const auto events = run({block("FINAL(1)")}, with_tools(ask("q", "c"), {{"f", "f = 1 / 0", "a value"}}));
  EXPECT_THAT(failure(events),
              testing::AllOf(HasSubstr("permutation.rlm.custom_tools.f"), HasSubstr("ZeroDivision")));
  root_parameters_ = 1'500'000'000;
  EXPECT_THAT(failure(run({block("FINAL(1)")}, with_tools(ask("q", "c"), tools()))),
              testing::AllOf(HasSubstr("custom_tools"), HasSubstr("1500M")));
}

TEST_F(RlmTest, SubCallsAnswerInTheFormThatTheProgramAsksFor) {
  const std::string form =
      "{'type': 'json_schema', 'json_schema': {'name': 'x', 'schema': {'type': 'object', "
      "'properties': {'z': {'type': 'integer'}, 'a': {'type': 'integer'}}}}}";
  leaf_ = [](const llm::Request&) { return R"({"z": 1, "a": 2})"; };
  EXPECT_EQ(llm::text_of(run(
                {block("import json\nFINAL(json.loads(llm_query('q', response_format=" + form + "))['a'])")},
                ask("q", "c"))),
            "2");
  EXPECT_EQ(last_leaf_.response_format.kind, llm::ResponseFormat::Kind::kJsonSchema);
  EXPECT_EQ(last_leaf_.response_format.schema,
            R"({"type":"object","properties":{"z":{"type":"integer"},"a":{"type":"integer"}}})")
      << "in the program's order";
  run({block("FINAL(llm_query_batched(['a', 'b'], response_format={'type': 'json_object'}))")},
      ask("q", "c"));
  EXPECT_EQ(last_leaf_.response_format.kind, llm::ResponseFormat::Kind::kJsonObject);
  const auto wrong = run(
      {block("FINAL(llm_query('q', response_format={'type': 'yaml'}))"), block("FINAL(1)")}, ask("q", "c"));
  EXPECT_EQ(llm::text_of(wrong), "1");
  EXPECT_THAT(last_root_.messages.at(4).content, HasSubstr("'response_format' must be a dict"));
}

TEST_F(RlmTest, AProgramsReadingIsToldInBytes) {
  std::string text;
  for (int i = 0; i < 200; ++i)
    text += "On day " + std::to_string(i) + " the keeper of the tower wrote nothing at all.\n";
  const auto at = [&](int day) { return text.find("On day " + std::to_string(day) + " "); };
  const std::string begin = std::to_string(at(50)), end = std::to_string(at(60));
  const auto events = run({block("x = context[" + begin + ":" + end + "]\nprint(len(context))"),
                           block("rlm_query('Who?', llm_query('Tell: ' + x + ' In short.'))\nFINAL('done')")},
                          ask("q", text));
  const json read = done(events).report.engine.at("context_strategy").at("read");
  EXPECT_EQ(read.at("bytes"), at(60) - at(50));
  EXPECT_EQ(read.at("ranges"), (json{{{"begin", at(50)}, {"end", at(60)}}}));
}

TEST_F(RlmTest, AnAnswerIsWrittenInTheFormThatIsAskedFor) {
  const std::string schema = R"({"type":"object","properties":{"code":{"type":"integer"}}})";
  llm::Request request = ask("What is the code?", "The code is 4711.");
  request.response_format.kind = llm::ResponseFormat::Kind::kJsonSchema;
  request.response_format.schema = schema;
  const auto root_says = [&](std::string formed) {
    return FunctionModel([this, formed](const llm::Request& r) -> base::Result<std::string> {
      if (r.response_format.is_free()) return block("FINAL(context)");
      last_root_ = r;
      return formed;
    });
  };
  auto good = root_says(R"({"code": 4711})");
  const auto events = run_with(good, request);
  EXPECT_EQ(llm::text_of(events), R"({"code": 4711})");
  EXPECT_EQ(last_root_.response_format.schema, schema) << "where the root runs here, by its grammar";
  EXPECT_THAT(
      last_root_.messages.back().content,
      testing::AllOf(HasSubstr("What is the code?"), HasSubstr("The code is 4711."), HasSubstr(schema)));
  const json engine = done(events).report.engine;
  EXPECT_EQ(engine.at("context_strategy").at("found"), "The code is 4711.");
  EXPECT_EQ(engine.at("final_answer"), R"({"code": 4711})");

  auto bad = root_says("It is 4711.");
  EXPECT_THAT(failure(run_with(bad, request)),
              testing::AllOf(HasSubstr("JSON"), HasSubstr("The code is 4711.")));
  auto cut = root_says(R"({"code": 47)");
  request.max_tokens = 5;
  EXPECT_EQ(llm::text_of(run_with(cut, request)), R"({"code": 47)") << "cut as any answer is";
}

TEST_F(RlmTest, WhatItHasNoUseForIsNamed) {
  llm::Request request = ask("q", "c");
  request.tools.push_back({.type = "function", .function = {}, .sent = "{}"});
  request.stop = {"x"};
  request.sampling.temperature = 0.7F;
  EXPECT_THAT(done(run({block("FINAL(1)")}, request)).report.ignored,
              testing::ElementsAre("tools", "stop", "temperature"));
  EXPECT_TRUE(done(run({block("FINAL(1)")}, ask("q", "c"))).report.ignored.empty());
}

TEST_F(RlmTest, AnExceptionEndsItsJob) {
  FunctionModel root([](const llm::Request&) -> base::Result<std::string> { throw std::runtime_error("x"); });
  const auto events = run_with(root, ask("Who?", "Nobody."));
  EXPECT_THAT(failure(events), HasSubstr("r1")) << "the request's id";
}

}  // namespace
}  // namespace pmt::rlm
