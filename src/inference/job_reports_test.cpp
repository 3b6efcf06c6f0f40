#include "inference/job_reports.h"

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "inference/job_fixture.h"

namespace pmt::inference {
namespace {

class JobReportsTest : public JobFixture {};

TEST_F(JobReportsTest, ChoicesThatShareAPromptCountItOnce) {
  const auto two = job("two", 128);  // four full blocks, 16 pages
  two->choices = 2;
  two->submitted = clock_.now();
  clock_.advance(std::chrono::milliseconds(5));
  two->admitted = clock_.now();
  ASSERT_TRUE(make_choices(*two));
  reports_.started(*two);
  ASSERT_TRUE(two->running[0].sequence().reserve(128));
  two->running[0].sequence().commit(128);
  clock_.advance(std::chrono::milliseconds(20));
  reports_.answer_begins(*two);
  two->shared_bytes = two->running[0].sequence().held().full;
  two->running[1].adopt(two->running[0].sequence().fork());
  for (PagedGeneration& choice : two->running) {
    JobReports::add_choice(*two, choice);
    choice.cut_short();
    JobReports::choice_ended(*two, choice);
  }
  clock_.advance(std::chrono::milliseconds(30));
  reports_.done(*two);
  EXPECT_EQ(counters_.completed, 1U);
  EXPECT_EQ(counters_.prompt_tokens, 128U);

  const auto all = events("two");
  ASSERT_EQ(all.size(), 4U);
  EXPECT_EQ(std::get<llm::Started>(all[0]).model, "tiny");
  EXPECT_EQ(std::get<llm::ChoiceEnd>(all[2]).choice, 1);
  const auto& done = std::get<llm::Done>(all[3]);
  EXPECT_EQ(done.usage.prompt_tokens, 128);
  EXPECT_EQ(done.report.kv->tokens_total, 128);
  EXPECT_EQ(done.report.kv->bytes, std::int64_t{16} * 16384);
  EXPECT_EQ(done.report.kv->bytes_f16, done.report.kv->bytes);
  EXPECT_EQ(done.report.kv->ratio_achieved, 1);
  EXPECT_EQ(done.report.timing->queue_ms, 5);
  EXPECT_EQ(done.report.timing->prefill_ms, 20);
  EXPECT_EQ(done.report.timing->decode_ms, 30);
}

/// What the last page leaves empty is neither kept nor lost by anything that the mode says.
TEST_F(JobReportsTest, ExactIsOnceItsSizeHoweverShortItIs) {
  const auto one = job("one", 20);
  ASSERT_TRUE(make_choices(*one));
  reports_.started(*one);
  ASSERT_TRUE(one->running[0].sequence().reserve(20));
  one->running[0].sequence().commit(20);
  reports_.answer_begins(*one);
  JobReports::add_choice(*one, one->running[0]);
  one->running[0].cut_short();
  JobReports::choice_ended(*one, one->running[0]);
  reports_.done(*one);
  const auto& kv = *std::get<llm::Done>(events("one").back()).report.kv;
  EXPECT_EQ(kv.mode, "exact");
  EXPECT_EQ(kv.ratio_achieved, 1);
  EXPECT_EQ(kv.bytes_f16, kv.bytes);
  EXPECT_EQ(kv.tokens_kept, 20);
}

TEST_F(JobReportsTest, OneTerminalEventAndThePagesAreFreeBefore) {
  const auto one = job("one", 100);
  ASSERT_TRUE(make_choices(*one));
  read(*one);
  reports_.fail(*one, {base::Code::kCancelled, "the client left"});
  EXPECT_EQ(pool_->stats().pages_used, 0U);
  reports_.fail(*one, {base::Code::kInternal, "again"});
  EXPECT_EQ(failure("one"), base::Code::kCancelled);
  EXPECT_EQ(counters_.cancelled, 1U);
  EXPECT_EQ(counters_.failed, 0U);
}

TEST_F(JobReportsTest, AnExceptionIsToldWithThePlaceOfItsCaller) {
  static std::string file;
  static int line = 0;
  base::set_exception_handler([](const base::Caught& caught) {
    file = caught.guard.file;
    line = caught.guard.line;
  });
  const auto one = job("one", 100);
  reports_.for_job(*one, [] {});
  EXPECT_EQ(failure("one"), std::nullopt);
  reports_.for_job(*one, [] { throw std::runtime_error("no"); });
  const int here = __LINE__ - 1;
  base::set_exception_handler({});
  EXPECT_EQ(failure("one"), base::Code::kInternal);
  EXPECT_TRUE(file.ends_with("job_reports_test.cpp")) << file;
  EXPECT_EQ(line, here);
}

}  // namespace
}  // namespace pmt::inference
