#include "inference/admission.h"

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "inference/job_fixture.h"

namespace pmt::inference {
namespace {

using Ids = std::vector<std::string>;

class AdmissionTest : public JobFixture {
 protected:
  void SetUp() override {
    JobFixture::SetUp();
    options_.sequences_max = 4;
    prefixes_.emplace(*pool_, options_, clock_, counters_);
    admission_.emplace(
        Admission::Around{hparams_, *pool_, options_, clock_, *prefixes_, reports_, counters_});
  }

  /// As Scheduler::submit and its next turn.
  Job& submit(std::unique_ptr<Job> job) {
    Job& out = *job;
    Jobs jobs;
    jobs.push_back(std::move(job));
    ++counters_.waiting;
    admission_->enqueue(jobs);
    return out;
  }
  void admit() {
    admission_->admit([this](Job& job) {
      begun_.push_back(job.id);
      if (job.id == "throws") throw std::runtime_error("no");
      if (job.id == "refused") return base::Status(base::invalid("no", "seed"));
      return make_choices(job);
    });
  }
  Ids running() const {
    Ids out;
    for (const auto& job : admission_->running()) out.push_back(job->id);
    EXPECT_EQ(counters_.running, static_cast<std::int64_t>(out.size()));
    return out;
  }

  std::optional<PrefixReuse> prefixes_;
  std::optional<Admission> admission_;
  Ids begun_;
};

TEST_F(AdmissionTest, AdmitsInOrderWhileWholePromptsFit) {
  for (const char* id : {"a", "b", "c"}) submit(job(id, 400));  // 52 of 128 pages each
  submit(job("small", 10));
  admit();
  EXPECT_EQ(running(), (Ids{"a", "b"})) << "what is promised counts, and nobody overtakes";
  EXPECT_EQ(counters_.waiting, 2);
  EXPECT_EQ(pool_->stats().pages_used, 0U) << "promised, not taken";
  admission_->running().front()->cancel.cancel();
  admission_->drop_cancelled();
  admit();
  EXPECT_EQ(running(), (Ids{"b", "c", "small"}));
  EXPECT_EQ(counters_.waiting, 0);
  EXPECT_EQ(begun_, (Ids{"a", "b", "c", "small"}));
}

TEST_F(AdmissionTest, NoMoreChoicesAtOnceThanAllowed) {
  for (const char* id : {"a", "b", "c"}) {
    auto two = job(id, 10);
    two->choices = 2;
    submit(std::move(two));
  }
  admit();
  EXPECT_EQ(running(), (Ids{"a", "b"}));
}

TEST_F(AdmissionTest, WhoStandsAloneIsAdmittedAndWhoCouldNeverFitIsRefused) {
  submit(job("large", 1024));  // 128 pages, and the token to come needs 4 more
  admit();
  EXPECT_EQ(running(), (Ids{"large"}));
  EXPECT_TRUE(admission_->check_size(*job("fits", 1000)));
  const base::Status refused = admission_->check_size(*job("doesn't", 1020));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::Code::kTooLarge);
  EXPECT_EQ(refused.error().field, "max_tokens");
  EXPECT_EQ(admission_->new_tokens_that_fit(1000, 1, 1), 24);
}

TEST_F(AdmissionTest, WhatGoesWrongAtTheBeginningEndsThatJobOnly) {
  for (const char* id : {"throws", "refused", "good"}) submit(job(id, 10));
  admit();
  EXPECT_EQ(running(), (Ids{"good"}));
  EXPECT_EQ(failure("throws"), base::Code::kInternal);
  EXPECT_EQ(failure("refused"), base::Code::kInvalidArgument);
  EXPECT_EQ(failure("good"), std::nullopt);
  EXPECT_EQ(counters_.failed, 2U);
  EXPECT_EQ(counters_.waiting, 0);
}

TEST_F(AdmissionTest, TheYoungestGivesWayAndIsTheNextToGoOn) {
  for (const char* id : {"old", "young"}) submit(job(id, 500));  // 64 pages each: all of them
  admit();
  submit(job("new", 10));
  for (const auto& each : admission_->running()) read(*each);
  EXPECT_EQ(pool_->pages_free(), 0U);
  Job& old = *admission_->running().front();
  old.running[0].sequence().truncate(480);  // its next 20 tokens need pages that are there
  EXPECT_TRUE(admission_->make_room({{&old, 0, 20, true}}));
  ASSERT_TRUE(old.running[0].sequence().reserve(20));
  old.running[0].sequence().commit(20);
  // Nobody has anything left to read: as if another token had come.
  EXPECT_FALSE(admission_->make_room({{&old, 0, 13, true}})) << "the parts are to be chosen anew";
  EXPECT_EQ(running(), (Ids{"old"}));
  EXPECT_EQ(counters_.waiting, 2);
  EXPECT_EQ(pool_->pages_free(), 64U) << "its pages are free";
  EXPECT_TRUE(admission_->make_room({{&old, 0, 13, true}}));
  admit();
  EXPECT_EQ(running(), (Ids{"old", "young"})) << "it fits again, and goes before the new one";
  EXPECT_EQ(begun_, (Ids{"old", "young"})) << "it has begun already";
  EXPECT_EQ(failure("young"), std::nullopt);
}

TEST_F(AdmissionTest, WhoLeavesIsDroppedWhereverItStands) {
  for (const char* id : {"a", "b"}) submit(job(id, 500));
  Job& waits = submit(job("waits", 500));
  submit(job("stays", 500));
  admit();
  for (const auto& each : admission_->running()) read(*each);
  admission_->running().back()->cancel.cancel();
  waits.cancel.cancel();
  admission_->drop_cancelled();
  EXPECT_EQ(running(), (Ids{"a"}));
  EXPECT_EQ(failure("b"), base::Code::kCancelled);
  EXPECT_EQ(failure("waits"), base::Code::kCancelled);
  EXPECT_EQ(counters_.cancelled, 2U);
  EXPECT_EQ(counters_.waiting, 1);
  EXPECT_EQ(pool_->pages_free(), 64U);
}

TEST_F(AdmissionTest, LateAnswersAreCutShortAndLatePromptsFail) {
  for (const char* id : {"answered", "reading", "waiting"}) {
    auto late = job(id, 500);
    late->deadline = clock_.now() + std::chrono::seconds(1);
    submit(std::move(late));
  }
  admit();
  admission_->running().front()->first_token = clock_.now();
  admission_->end_late();
  EXPECT_EQ(running(), (Ids{"answered", "reading"})) << "it isn't late yet";
  clock_.advance(std::chrono::seconds(2));
  admission_->end_late();
  EXPECT_EQ(running(), (Ids{"answered"}));
  EXPECT_EQ(failure("reading"), base::Code::kDeadline);
  EXPECT_EQ(failure("waiting"), base::Code::kDeadline);
  EXPECT_EQ(counters_.waiting, 0);
  admission_->retire_finished();
  EXPECT_EQ(running(), Ids{});
  const auto all = events("answered");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(std::get<llm::ChoiceEnd>(all[0]).reason, llm::FinishReason::kLength);
  EXPECT_TRUE(std::get<llm::Done>(all[1]).transient) << "cut short by its deadline: not to be stored";
  EXPECT_EQ(counters_.completed, 1U);
}

TEST_F(AdmissionTest, AJobEndsWithItsLastChoice) {
  auto two = job("two", 100);
  two->choices = 2;
  Job& running_job = submit(std::move(two));
  admit();
  read(running_job);
  running_job.running[1].cut_short();
  admission_->retire_finished();
  EXPECT_EQ(running(), (Ids{"two"}));
  ASSERT_EQ(events("two").size(), 1U);
  EXPECT_EQ(std::get<llm::ChoiceEnd>(events("two")[0]).choice, 1);
  running_job.running[0].cut_short();
  admission_->retire_finished();
  EXPECT_EQ(running(), Ids{});
  EXPECT_TRUE(std::holds_alternative<llm::Done>(events("two").back()));
  EXPECT_EQ(prefixes_->index().entries(), 1U) << "what it read is kept";
  EXPECT_EQ(pool_->stats().bytes_prefixes_only, pool_->stats().bytes_used) << "and nothing else";
}

TEST_F(AdmissionTest, PrefixesAreGivenUpForAPromptThatNeedsTheRoom) {
  Job& first = submit(job("first", 500));
  admit();
  read(first);
  first.running[0].cut_short();
  admission_->retire_finished();
  ASSERT_EQ(pool_->pages_free(), 64U);
  submit(job("fits beside it", 300, 1));
  admit();
  EXPECT_EQ(prefixes_->index().entries(), 1U);
  submit(job("doesn't", 300, 2));
  admit();
  EXPECT_EQ(prefixes_->index().entries(), 0U);
  EXPECT_EQ(running(), (Ids{"fits beside it", "doesn't"}));
}

TEST_F(AdmissionTest, AllCanBeEnded) {
  for (const char* id : {"a", "b", "waits"}) submit(job(id, 500));
  admit();
  for (const auto& each : admission_->running()) read(*each);
  admission_->fail_running();
  EXPECT_EQ(running(), Ids{});
  EXPECT_EQ(failure("a"), base::Code::kInternal);
  EXPECT_EQ(failure("waits"), std::nullopt) << "those that wait are whole";
  EXPECT_EQ(pool_->stats().pages_used, 0U);
  admission_->fail_all({base::Code::kUnavailable, "over"});
  EXPECT_EQ(failure("waits"), base::Code::kUnavailable);
  EXPECT_TRUE(admission_->idle());
}

}  // namespace
}  // namespace pmt::inference
