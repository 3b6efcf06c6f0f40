// A test's sandbox of each kind that works on this machine; the others are skipped with the reason.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "sandbox/sandbox.h"

namespace pmt::sandbox {

inline const auto kKinds = testing::Values(Kind::kBubblewrap, Kind::kMonty);
inline std::string kind_name(const testing::TestParamInfo<Kind>& kind) {
  return to_string(kind.param);
}

class KindTest : public testing::TestWithParam<Kind> {
 protected:
  void open(Limits limits = {}, SessionSetup setup = {.context = "", .functions = {}}) {
    session_.reset();
    auto sandbox =
        Sandbox::open({.kind = GetParam(), .monty_home = PMT_MONTY_HOME, .warm = 1, .limits = limits});
    if (!sandbox) GTEST_SKIP() << sandbox.error().message;
    sandbox_ = std::move(*sandbox);
    auto session = sandbox_->session(std::move(setup));
    ASSERT_TRUE(session) << session.error().message;
    session_ = std::move(*session);
  }
  BlockResult run(const std::string& code) {
    if (!session_) return {};
    auto block = session_->run(code, call_, {});
    EXPECT_TRUE(block) << block.error().message;
    return block ? *block : BlockResult{};
  }

  std::unique_ptr<Sandbox> sandbox_;
  std::unique_ptr<Session> session_;
  Call call_ = [](const std::string&, const nlohmann::json&) -> base::Result<nlohmann::json> {
    return "called";
  };
};

}  // namespace pmt::sandbox
