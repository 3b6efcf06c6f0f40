// The threads that do an endpoint's slow work survive what their jobs throw.
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "api/answer_on.h"
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

/// A connection whose client leaves when the test says so.
class Connection final : public net::Responder {
 public:
  void send(net::HttpResponse response) override { answered_.set_value(response.status); }
  void start_stream(net::HttpResponse) override {}
  void write(std::string) override {}
  void finish_stream() override {}
  void on_disconnect(std::function<void()> callback) override { on_disconnect_ = std::move(callback); }
  void leave() const { on_disconnect_(); }
  int status() { return answered_.get_future().get(); }

 private:
  std::promise<int> answered_;
  std::function<void()> on_disconnect_;
};

TEST(AnswerOn, NothingIsDoneForAClientThatLeft) {
  std::promise<void> go;
  std::atomic<int> made{0};
  const auto stays = std::make_shared<Connection>(), leaves = std::make_shared<Connection>();
  Exchange exchange;
  const auto body = [&made](const Exchange&) -> base::Result<std::string> {
    ++made;
    return std::string("{}");
  };
  Background worker;
  ASSERT_TRUE(worker.run([&go] { go.get_future().wait(); }));
  for (const auto& connection : {leaves, stays}) {
    exchange.responder = connection;
    answer_on(worker, exchange, body);
  }
  leaves->leave();
  go.set_value();
  EXPECT_EQ(leaves->status(), 499);
  EXPECT_EQ(stays->status(), 200);
  EXPECT_EQ(made, 1);
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
