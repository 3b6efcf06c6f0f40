// A test's RecursiveLanguageModel with one model as root and leaf, which says what the test has it say.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "llm/sinks.h"
#include "rlm/engine.h"
#include "rlm/rlm_request.h"
#include "rlm/test_models.h"

namespace pmt::rlm {

class ProgramTest : public testing::Test {
 protected:
  /// The answer of a model that says these texts in order, the last one again and again; or "failed: " and why.
  std::string ask_about(const std::string& context, const std::string& question,
                        std::vector<std::string> says) {
    calls_.clear();
    FunctionModel model([&](const llm::Request& request) -> base::Result<std::string> {
      calls_.push_back(request);
      return says.at(std::min(calls_.size(), says.size()) - 1);
    });
    RlmOptions options{.root = {.completer = &model, .name = "root"},
                       .leaf = {.completer = &model, .name = "root"}};
    options.root.parameters = parameters_;
    options.leaf.parameters = leaf_parameters_;
    RecursiveLanguageModel rlm(std::move(options), clock_);
    llm::Request request;
    request.id = "p1";
    request.want_trace = true;
    request.kv.ratio = ratio_;
    request.messages = {message("user", question)};
    request.options.set(RlmRequest{.context = {context}});
    const auto sink = std::make_shared<llm::CollectingSink>();
    rlm.start(std::move(request), sink, {});
    const auto events = sink->wait();
    if (const auto* failed = std::get_if<llm::Failed>(&events.back()))
      return "failed: " + failed->error.message;
    engine_ = std::get<llm::Done>(events.back()).report.engine;
    return llm::text_of(events);
  }
  /// The last message of a call.
  const std::string& said_to(std::size_t call) const { return calls_.at(call).messages.back().content; }

  base::SystemClock clock_;
  std::int64_t parameters_ = 1'500'000'000, leaf_parameters_ = 0;
  std::optional<double> ratio_;  // that the caller names
  std::vector<llm::Request> calls_;
  nlohmann::json engine_;
};

}  // namespace pmt::rlm
