#include "rlm/root_trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <memory>

#include "rlm/sandbox_fixture.h"
#include "rlm/test_models.h"

namespace pmt::rlm {
namespace {

using testing::HasSubstr;

/// What a good programmer writes for each question.
std::string program_for(const std::string& asked) {
  const auto all = [](const char* code) { return "import re\n" + std::string(code); };
  if (asked.find("mention") != std::string::npos) {
    const auto begin = asked.find("mention ") + 8;
    const std::string thing = asked.substr(begin, asked.find('?', begin) - begin);
    return "FINAL(str(sum(1 for note in context if '" + thing + "' in note)))";
  }
  if (asked.find("eggs") != std::string::npos)
    return all("FINAL(str(sum(int(re.search(r'counted: (\\d+)', note).group(1)) for note in context)))");
  if (asked.find("gauge") != std::string::npos)
    return all("FINAL(re.search(r'gauge is (\\d+)', context[0]).group(1))");
  const std::string writers = "names = [re.search(r'by (\\w+)', note).group(1) for note in context]\n";
  if (asked.find("different people") != std::string::npos)
    return all((writers + "FINAL(str(len(set(names))))").c_str());
  return all((writers + "FINAL(max(set(names), key=names.count))").c_str());
}

/// What a good writer of queries writes for each.
std::string query_for(const std::string& asked) {
  const auto after = [&](const std::string& words) {
    const auto begin = asked.rfind(words) + words.size();
    return asked.substr(begin, asked.find_first_of(" ?", begin) - begin);
  };
  if (asked.find("other than") != std::string::npos)
    return "SELECT COUNT(*) FROM records WHERE city <> '" + after("other than ") + "'";
  if (asked.find("less than") != std::string::npos)
    return "SELECT COUNT(*) FROM records WHERE grams > " + after("more than ") + " AND grams < " +
           after("less than ");
  if (asked.find("together") != std::string::npos)
    return "SELECT SUM(grams) FROM records WHERE courier IN ('" + after("parcels by ") + "', '" +
           after(" or ") + "')";
  if (asked.find("highest") != std::string::npos)
    return "SELECT courier FROM records GROUP BY courier ORDER BY AVG(grams) DESC LIMIT 1";
  return "SELECT COUNT(*) FROM (SELECT courier FROM records GROUP BY courier HAVING COUNT(*) > " +
         after("more than ") + ")";
}

bool is_about_parcels(const llm::Request& request) {
  return request.messages.at(0).content.find("parcel") != std::string::npos ||
         request.messages.at(1).content.find("parcel") != std::string::npos;
}

class RootTrialTest : public SandboxTest {
 protected:
  base::Result<RootTrials> try_model(FunctionModel::Function function) {
    FunctionModel model(std::move(function));
    return try_root({.completer = &model, .name = "root", .parameters = 135'000'000}, *sandbox_, clock_,
                    {.on_progress = [this](const std::string& text) { told_.push_back(text); }});
  }

  std::vector<std::string> told_;
};

TEST_F(RootTrialTest, OneThatWritesBothPassesWhateverItsSize) {
  const auto trials = try_model([](const llm::Request& request) -> base::Result<std::string> {
    if (is_about_parcels(request)) return query_for(request.messages.at(1).content);
    return "```repl\n" + program_for(request.messages.at(1).content) + "\n```";
  });
  ASSERT_TRUE(trials) << trials.error().message;
  for (const RootTrial& trial : {trials->programs, trials->queries}) {
    EXPECT_EQ(trial.right, kTrialRightMin);
    EXPECT_EQ(trial.asked, kTrialRightMin) << "the rest can't change it";
    EXPECT_TRUE(trial.is_passed());
  }
  const Model small{.name = "root", .parameters = 135'000'000, .trials = *trials};
  EXPECT_FALSE(writes_no_programs(small));
  EXPECT_FALSE(writes_no_queries(small));
}

TEST_F(RootTrialTest, OneThatWritesQueriesIsAskedForThoseAlone) {
  const auto trials = try_model([](const llm::Request& request) -> base::Result<std::string> {
    return is_about_parcels(request) ? query_for(request.messages.at(1).content) : std::string("I can't.");
  });
  ASSERT_TRUE(trials) << trials.error().message;
  const Model small{.name = "root", .parameters = 135'000'000, .trials = *trials};
  EXPECT_TRUE(writes_no_programs(small));
  EXPECT_FALSE(writes_no_queries(small));
}

TEST_F(RootTrialTest, OneThatGuessesFailsEvenWhereItIsRight) {
  auto questions = program_questions(kTrialSeed);
  std::ranges::copy(query_questions(kTrialSeed), std::back_inserter(questions));
  const auto trials = try_model([&](const llm::Request& request) -> base::Result<std::string> {
    for (const TrialQuestion& asked : questions) {
      if (request.messages.at(1).content.find(asked.question) == std::string::npos) continue;
      return is_about_parcels(request) ? "SELECT '" + asked.answer + "'" : "FINAL(" + asked.answer + ")";
    }
    return std::string("FINAL(1)");
  });
  ASSERT_TRUE(trials) << trials.error().message;
  EXPECT_EQ(trials->programs.right, 0);
  EXPECT_EQ(trials->queries.right, 0);
  EXPECT_EQ(trials->programs.asked, kTrialQuestions - kTrialRightMin + 1);
  EXPECT_THAT(told_,
              testing::Contains(HasSubstr("programs: question 1 of 10, mentions: no code gave its answer")));
  EXPECT_THAT(told_.at(0), HasSubstr("queries: question 1 of 10, all but: "));
  const Model large{.name = "big", .parameters = 8'000'000'000, .trials = *trials};
  EXPECT_TRUE(writes_no_programs(large));
  EXPECT_TRUE(writes_no_queries(large));
  EXPECT_EQ(why_no_programs(large), "big wrote 0 of 4 trial programs right, and 7 of 10 are asked for");
  EXPECT_EQ(why_no_queries(large), "big wrote 0 of 4 trial queries right, and 7 of 10 are asked for");
}

TEST_F(RootTrialTest, AModelThatIsntThereMeasuresNothing) {
  const auto trial = try_model([](const llm::Request&) -> base::Result<std::string> {
    return base::Error{base::Code::kUnavailable, "no route to it"};
  });
  ASSERT_FALSE(trial);
  EXPECT_THAT(trial.error().message, HasSubstr("no route to it"));
}

TEST_F(RootTrialTest, QuestionsAreTheSameForASeedAndTheirAnswersDiffer) {
  for (const auto make : {program_questions, query_questions}) {
    const auto one = make(1), again = make(1), other = make(2);
    ASSERT_EQ(one.size(), static_cast<std::size_t>(kTrialQuestions));
    std::map<std::string, int> kinds;
    int differ = 0;
    for (std::size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(one[i].context, again[i].context);
      EXPECT_EQ(one[i].answer, again[i].answer);
      differ += one[i].answer != other[i].answer ? 1 : 0;
      ++kinds[one[i].kind];
    }
    EXPECT_EQ(kinds.size(), 5U);
    EXPECT_GE(differ, 6);
  }
}

TEST_F(RootTrialTest, AnAnswerIsOneThingNotAList) {
  const TrialQuestion number{"sum", "?", {}, "1234"}, name{"most", "?", {}, "Edda"};
  EXPECT_TRUE(says("1234", number));
  EXPECT_TRUE(says("There are 1,234 eggs in 60 notes.", number));
  EXPECT_FALSE(says("12345", number));
  EXPECT_FALSE(says("1, 2, 3, 1234", number));
  EXPECT_TRUE(says("Edda wrote the most, before Gwen.", name));
  EXPECT_FALSE(says("Amara, Bjarne, Edda", name));
  EXPECT_FALSE(says("Eddard", name));
}

}  // namespace
}  // namespace pmt::rlm
