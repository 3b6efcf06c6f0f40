// A test whose programs run in a real sandbox. It is skipped where none can be opened.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "base/clock.h"
#include "sandbox/sandbox.h"

namespace pmt::rlm {

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    auto sandbox = sandbox::Sandbox::open({.monty_home = PMT_MONTY_HOME, .warm = 1});
    if (!sandbox) GTEST_SKIP() << sandbox.error().message;
    sandbox_ = std::move(*sandbox);
  }

  base::SystemClock clock_;
  std::unique_ptr<sandbox::Sandbox> sandbox_;
};

}  // namespace pmt::rlm
