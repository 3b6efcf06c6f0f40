#include "upstream/fallback_completer.h"

#include <gtest/gtest.h>

#include "llm/sinks.h"

namespace pmt::upstream {
namespace {

/// Sends the events it was made with.
class Scripted final : public llm::Completer {
 public:
  explicit Scripted(std::vector<llm::Event> events) : events_(std::move(events)) {}
  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken) override {
    asked_as.push_back(request.model);
    for (const llm::Event& event : events_) sink->on_event(llm::Event(event));
  }
  std::vector<std::string> asked_as;

 private:
  const std::vector<llm::Event> events_;
};

llm::Event started(const char* model) {
  return llm::Started{.model = model, .created_unix_s = 1, .cache = {}};
}
llm::Event said(const char* text) {
  return llm::Delta{.choice = 0, .text = text, .logprobs = {}};
}
llm::Event failed(base::Code code) {
  return llm::Failed{base::Error{code, "no"}};
}

std::vector<llm::Event> ask(FallbackCompleter& completer) {
  const auto sink = std::make_shared<llm::CollectingSink>();
  completer.start({}, sink, {});
  return sink->wait();
}

TEST(FallbackCompleter, AsksTheNextUntilOneAnswers) {
  Scripted first({failed(base::Code::kUnavailable)});
  Scripted second({started("b"), failed(base::Code::kBadGateway)});
  Scripted third({started("c"), said("yes"), llm::ChoiceEnd{}, llm::Done{}});
  FallbackCompleter completer({{"a", &first}, {"b", &second}, {"c", &third}});
  const auto events = ask(completer);
  EXPECT_EQ(std::get<llm::Started>(events.front()).model, "c");
  EXPECT_EQ(llm::text_of(events), "yes");
  EXPECT_EQ(third.asked_as, std::vector<std::string>{"c"});
  EXPECT_EQ(std::get<llm::Done>(events.back()).report.upstream["fallbacks"],
            nlohmann::json::parse(R"([{"model":"a","error":"no"},{"model":"b","error":"no"}])"));
}

TEST(FallbackCompleter, NotForTheRequestsOwnFaultNorAfterTheFirstWord) {
  Scripted spare({started("b"), llm::Done{}});
  Scripted invalid({failed(base::Code::kInvalidArgument)});
  FallbackCompleter of_invalid({{"a", &invalid}, {"b", &spare}});
  EXPECT_EQ(std::get<llm::Failed>(ask(of_invalid).back()).error.code, base::Code::kInvalidArgument);
  Scripted breaks({started("a"), said("half"), failed(base::Code::kBadGateway)});
  FallbackCompleter of_broken({{"a", &breaks}, {"b", &spare}});
  EXPECT_EQ(std::get<llm::Failed>(ask(of_broken).back()).error.code, base::Code::kBadGateway);
  EXPECT_TRUE(spare.asked_as.empty());
}

/// A model of ours would answer a part of it: an image is no text.
TEST(FallbackCompleter, WhatOursCantTakeIsNotAskedOfOurs) {
  Scripted first({failed(base::Code::kUnavailable)}), ours({started("b"), llm::Done{}});
  Scripted third({started("c"), said("yes"), llm::ChoiceEnd{}, llm::Done{}});
  auto sent = std::make_shared<llm::SentBody>();
  sent->not_local = base::invalid("must be text", "messages[0].content[0].type");
  const auto asked = [&](FallbackCompleter& completer) {
    const auto sink = std::make_shared<llm::CollectingSink>();
    llm::Request request;
    request.sent = sent;
    completer.start(std::move(request), sink, {});
    return sink->wait();
  };
  FallbackCompleter completer({{"a", &first}, {"b", &ours, true}, {"c", &third}});
  EXPECT_EQ(llm::text_of(asked(completer)), "yes");
  FallbackCompleter no_other({{"a", &first}, {"b", &ours, true}});
  EXPECT_EQ(std::get<llm::Failed>(asked(no_other).back()).error.code, base::Code::kUnavailable);
  EXPECT_TRUE(ours.asked_as.empty());
  (void)ask(no_other);
  EXPECT_EQ(ours.asked_as.size(), 1U) << "any other request is";
}

TEST(FallbackCompleter, TheLastFailureIsTheAnswer) {
  Scripted first({failed(base::Code::kUnavailable)});
  Scripted second({failed(base::Code::kExhausted)});
  FallbackCompleter completer({{"a", &first}, {"b", &second}});
  EXPECT_EQ(std::get<llm::Failed>(ask(completer).back()).error.code, base::Code::kExhausted);
}

}  // namespace
}  // namespace pmt::upstream
