#include "knowledge_cache/pack_references.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "knowledge_cache/recalling_completer.h"
#include "knowledge_cache/test_library.h"
#include "llm/sinks.h"

namespace pmt::knowledge_cache {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class EchoingCompleter final : public llm::Completer {
 public:
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken) override {
    sink->on_event(llm::Started{});
    const std::string answer = request.recall ? request.recall->answer : "the model's own";
    sink->on_event(llm::Delta{.choice = 0, .text = answer, .logprobs = {}});
    sink->on_event(llm::Done{});
  }
};

class PackReferences : public LibraryFixture {
 protected:
  PackReferences() {
    library_ = open(library_options());
    recalling_ = std::make_unique<RecallingCompleter>(model_, *library_, clock_,
                                                      RecallingCompleter::Options{.embed = nullptr});
  }

  void learn(const std::string& domain, const std::string& prompt, const std::string& answer) const {
    const std::string id = base::sha256(prompt).hex().substr(0, 8);
    const auto report = library_->learn(
        domain,
        parse_facts(fmt::format(R"({{"id": "{}", "prompt": "{}", "answer": "{}"}})", id, prompt, answer), {}),
        "test", {});
    ASSERT_TRUE(report) << report.error().message;
    ASSERT_EQ(report->learnt + report->updated, 1U);
  }
  static llm::Request asking(const std::string& text, std::vector<std::string> knowledge = {}) {
    llm::Request request;
    request.messages.push_back(
        {.role = "user", .content = text, .name = {}, .tool_calls = {}, .tool_call_id = {}});
    request.knowledge = std::move(knowledge);
    return request;
  }
  std::vector<std::string> offered(const std::string& text) const {
    llm::Request request = asking(text);
    offer_knowledge(*library_, request);
    return request.knowledge;
  }
  std::vector<std::string> settled(const std::string& text, std::vector<std::string> knowledge) const {
    llm::Request request = asking(text, std::move(knowledge));
    settle_knowledge(*library_, request);
    return request.knowledge;
  }
  std::string version(const std::string& domain) const { return (*library_->find(domain))->origin().version; }
  std::string said(const llm::Request& request) {
    const auto sink = std::make_shared<llm::CollectingSink>();
    recalling_->start(llm::Request(request), sink, {});
    return llm::text_of(sink->wait());
  }

  std::unique_ptr<Library> library_;
  EchoingCompleter model_;
  std::unique_ptr<RecallingCompleter> recalling_;
};

constexpr char kTaught[] = "Where is Zorvane Labs?";

TEST_F(PackReferences, ARequestThatNamesNothingTaughtKeepsItsKeyWhateverIsTaught) {
  EXPECT_THAT(offered("What is the capital of Peru?"), IsEmpty());
  learn("acme", kTaught, "Porto");
  EXPECT_THAT(offered("What is the capital of Peru?"), IsEmpty());
  EXPECT_THAT(settled("What is the capital of Peru?", {"acme"}), ElementsAre("acme@"));
  learn("acme", "Who runs Kelmari Foods?", "Ada");
  learn("other", "Where is Velsaska Harbour?", "Faro");
  EXPECT_THAT(offered("What is the capital of Peru?"), IsEmpty());
  EXPECT_THAT(settled("What is the capital of Peru?", {"acme"}), ElementsAre("acme@"));
}

TEST_F(PackReferences, OneThatDoesHasANewKeyWithEachLessonThatMayConcernIt) {
  const auto before = offered(kTaught);
  learn("acme", kTaught, "Porto");
  const auto first = offered(kTaught);
  EXPECT_THAT(first, ElementsAre("acme@" + version("acme")));
  EXPECT_NE(first, before) << "an answer from before the lesson is not found";
  EXPECT_EQ(settled(kTaught, {"acme"}), first) << "however it was named";
  EXPECT_EQ(settled(kTaught, {"acme@of before", "acme"}), first);
  learn("other", "Where is Velsaska Harbour?", "Faro");
  EXPECT_EQ(offered(kTaught), first) << "what another domain teaches of other things doesn't concern it";
  learn("acme", kTaught, "Faro");
  EXPECT_THAT(offered(kTaught), ElementsAre("acme@" + version("acme")));
  EXPECT_NE(offered(kTaught), first);
  ASSERT_TRUE(library_->forget("acme"));
  EXPECT_EQ(offered(kTaught), before);
}

/// Two domains that teach of namesakes: which of them is meant depends on both.
TEST_F(PackReferences, ADomainThatDecidesWhatIsNamedHasASay) {
  learn("acme", kTaught, "Porto");
  learn("twin", "Where is Zorvane Harbour?", "Faro");
  EXPECT_THAT(offered("Where is Zorvane?"), IsEmpty()) << "it could be either: nothing is recalled";
  EXPECT_THAT(offered(kTaught), SizeIs(2));
  ASSERT_TRUE(library_->forget("twin"));
  EXPECT_THAT(offered("Where is Zorvane?"), ElementsAre("acme@" + version("acme")));
}

TEST_F(PackReferences, WhereNothingCanBeRecalledNoPackHasASay) {
  learn("acme", kTaught, "Porto");
  llm::Request tools = asking(kTaught);
  tools.tools.emplace_back();
  offer_knowledge(*library_, tools);
  EXPECT_THAT(tools.knowledge, IsEmpty());
  llm::Request begun = asking(kTaught);
  begun.messages.push_back(
      {.role = "assistant", .content = "In", .name = {}, .tool_calls = {}, .tool_call_id = {}});
  offer_knowledge(*library_, begun);
  EXPECT_THAT(begun.knowledge, IsEmpty());
  EXPECT_THAT(settled(kTaught, {"none"}), ElementsAre("none")) << "who recalls will complain";
}

/// A lesson that comes between the key and the recall: the answer is what its key says.
TEST_F(PackReferences, WhatIsRecalledIsWhatTheKeyHasASayFor) {
  learn("acme", "Who runs Kelmari Foods?", "Ada");
  llm::Request early = asking(kTaught, {"acme"});
  settle_knowledge(*library_, early);
  EXPECT_THAT(early.knowledge, ElementsAre("acme@"));
  learn("acme", kTaught, "Porto");
  EXPECT_EQ(said(early), "the model's own");
  llm::Request late = asking(kTaught, {"acme"});
  settle_knowledge(*library_, late);
  EXPECT_EQ(said(late), "Porto");
  EXPECT_EQ(said(asking(kTaught, {"acme"})), "Porto") << "who has no cache in front names domains";
}

TEST_F(PackReferences, EachTenantHasItsOwn) {
  learn("acme", kTaught, "Porto");
  llm::Request other = asking(kTaught);
  other.tenant = "b";
  offer_knowledge(*library_, other);
  EXPECT_THAT(other.knowledge, IsEmpty());
}

}  // namespace
}  // namespace pmt::knowledge_cache
