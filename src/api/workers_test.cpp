// The threads that do an endpoint's slow work survive what their jobs throw.
#include <future>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "api/background.h"
#include "api/routes/knowledge_worker.h"

namespace pmt::api {
namespace {

TEST(Background, AJobThatThrowsIsDropped) {
  std::promise<void> reached;
  Background background;
  EXPECT_TRUE(background.run([] { throw std::runtime_error("x"); }));
  EXPECT_TRUE(background.run([] { throw 5; }));
  EXPECT_TRUE(background.run([&] { reached.set_value(); }));
  reached.get_future().get();
}

TEST(KnowledgeWorker, AJobThatThrowsHasFailed) {
  KnowledgeWorker worker;
  ASSERT_TRUE(worker.start("job_1", "acme", "ann", [](const auto&) -> base::Result<nlohmann::json> {
    throw std::runtime_error("x");
  }));
  ASSERT_TRUE(worker.run([] { throw std::bad_alloc(); }));
  std::promise<void> reached;
  ASSERT_TRUE(worker.run([&] { reached.set_value(); }));
  reached.get_future().get();
  const auto state = worker.state("job_1", "ann");
  ASSERT_TRUE(state);
  EXPECT_EQ((*state)["status"], "failed");
  EXPECT_NE((*state)["error"]["message"].get<std::string>().find("job_1"), std::string::npos);
}

TEST(KnowledgeWorker, AWatcherThatThrowsHurtsNoOther) {
  KnowledgeWorker worker;
  std::promise<void> go, ended;
  ASSERT_TRUE(worker.start("job_1", "acme", "ann", [&](const auto&) -> base::Result<nlohmann::json> {
    go.get_future().wait();
    return nlohmann::json::object();
  }));
  ASSERT_TRUE(worker.run([&] { ended.set_value(); }));
  bool told = false;
  const auto bad = [](const nlohmann::json&, bool end) {
    if (end) throw std::runtime_error("x");
  };
  ASSERT_TRUE(worker.watch("job_1", "ann", bad));
  ASSERT_TRUE(worker.watch("job_1", "ann", [&](const nlohmann::json&, bool end) { told = end; }));
  go.set_value();
  ended.get_future().get();
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace pmt::api
