#include "base/guard.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>
#include <vector>

namespace pmt::base {
namespace {

class Guarded : public ::testing::Test {
 protected:
  struct Told {
    std::string thread, request, what, file;
    int line;
  };
  void SetUp() override {
    set_exception_handler([this](const Caught& caught) {
      told_.push_back({to_string(caught.guard.thread), std::string(caught.guard.request), caught.what,
                       caught.guard.file, caught.guard.line});
    });
  }
  void TearDown() override { set_exception_handler(nullptr); }
  std::vector<Told> told_;
};

TEST_F(Guarded, WhatIsThrownBecomesAnErrorWithTheRequestsId) {
  const auto before = exceptions_caught(Thread::kIntake);
  const int line = __LINE__ + 1;
  const Status ended = guarded({Thread::kIntake, "req_7"}, [] { throw std::runtime_error("no such key"); });
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Code::kInternal);
  EXPECT_NE(ended.error().message.find("req_7"), std::string::npos) << ended.error().message;
  EXPECT_EQ(ended.error().message.find("no such key"), std::string::npos) << "it may hold anybody's text";
  EXPECT_EQ(exceptions_caught(Thread::kIntake), before + 1);
  ASSERT_EQ(told_.size(), 1U);
  EXPECT_EQ(told_[0].thread, "intake");
  EXPECT_EQ(told_[0].request, "req_7");
  EXPECT_EQ(told_[0].what, "no such key");
  EXPECT_EQ(told_[0].line, line);
  EXPECT_NE(told_[0].file.find("guard_test.cpp"), std::string::npos);
}

TEST_F(Guarded, AnErrorAndASuccessPassThrough) {
  EXPECT_TRUE(guarded({Thread::kDisk}, [] {}));
  EXPECT_TRUE(guarded({Thread::kDisk}, [] { return Status(); }));
  EXPECT_EQ(guarded({Thread::kDisk}, [] { return Status(invalid("no", "n")); }).error().field, "n");
  EXPECT_TRUE(told_.empty());
}

TEST_F(Guarded, WhateverIsThrown) {
  EXPECT_FALSE(guarded({Thread::kRlm}, [] { throw std::bad_alloc(); }));
  EXPECT_FALSE(guarded({Thread::kRlm}, [] { throw 7; }));
  EXPECT_FALSE(survives({Thread::kRlm}, [] { throw "text"; }));
  EXPECT_TRUE(survives({Thread::kRlm}, [] {}));
  EXPECT_EQ(told_.size(), 3U);
}

TEST_F(Guarded, AHandlerThatThrowsIsSurvived) {
  set_exception_handler([](const Caught&) { throw std::runtime_error("the log is full"); });
  EXPECT_FALSE(guarded({Thread::kSink, "r"}, [] { throw std::logic_error("x"); }));
}

TEST_F(Guarded, AThreadGoesOnAfterWhatGetsOutOfItsItems) {
  int runs = 0;
  keep_running({Thread::kDisk}, [&runs] {
    if (++runs < 3) throw std::runtime_error("again");
  });
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(told_.size(), 2U);
}

TEST_F(Guarded, EveryThreadHasAName) {
  for (std::size_t i = 0; i < kThreads; ++i) EXPECT_NE(std::string(to_string(static_cast<Thread>(i))), "");
  EXPECT_STREQ(to_string(Thread::kSink), "sink");
  EXPECT_STREQ(to_string(Thread::kRedis), "redis");
}

}  // namespace
}  // namespace pmt::base
