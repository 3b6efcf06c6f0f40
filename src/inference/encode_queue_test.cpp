#include "inference/encode_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <new>
#include <stdexcept>

#include "llm/sinks.h"

namespace pmt::inference {
namespace {

Arrived request(const std::string& id, std::shared_ptr<llm::Sink> sink) {
  Arrived out;
  out.request.id = id;
  out.sink = std::move(sink);
  return out;
}

base::Error error_of(llm::CollectingSink& sink) {
  return std::get<llm::Failed>(sink.wait().back()).error;
}

TEST(EncodeQueue, AnExceptionEndsItsRequestAndTheThreadGoesOn) {
  const auto before = base::exceptions_caught(base::Thread::kIntake);
  const auto bad = std::make_shared<llm::CollectingSink>(), worse = std::make_shared<llm::CollectingSink>();
  std::promise<std::string> reached;
  EncodeQueue queue({base::Thread::kIntake, 8}, [&](Arrived& arrived) -> base::Status {
    if (arrived.request.id == "req_bad") throw std::logic_error("no such member");
    if (arrived.request.id == "req_worse") throw std::bad_alloc();
    reached.set_value(arrived.request.id);
    return {};
  });
  auto one = request("req_bad", bad), two = request("req_worse", worse), three = request("req_good", bad);
  EXPECT_TRUE(queue.push(one));
  EXPECT_TRUE(queue.push(two));
  EXPECT_TRUE(queue.push(three));
  EXPECT_EQ(reached.get_future().get(), "req_good");
  EXPECT_EQ(error_of(*bad).code, base::Code::kInternal);
  EXPECT_NE(error_of(*bad).message.find("req_bad"), std::string::npos);
  EXPECT_NE(error_of(*worse).message.find("req_worse"), std::string::npos);
  EXPECT_EQ(base::exceptions_caught(base::Thread::kIntake), before + 2);
}

TEST(EncodeQueue, ASinkThatThrowsToo) {
  const auto throws = std::make_shared<llm::FunctionSink>([](const llm::Event&) { throw 5; });
  std::promise<void> reached;
  EncodeQueue queue({base::Thread::kForms, 8}, [&](Arrived& arrived) -> base::Status {
    if (arrived.request.id == "a") return base::invalid("no");
    reached.set_value();
    return {};
  });
  auto one = request("a", throws), two = request("b", throws);
  EXPECT_TRUE(queue.push(one));
  EXPECT_TRUE(queue.push(two));
  reached.get_future().get();
}

TEST(EncodeQueue, WhoLeftWhileWaitingCostsNothingMore) {
  std::promise<void> go, begun;
  int encoded = 0;
  const auto left = std::make_shared<llm::CollectingSink>(), late = std::make_shared<llm::CollectingSink>();
  {
    EncodeQueue queue({base::Thread::kForms, 2}, [&](Arrived&) -> base::Status {
      if (++encoded == 1) {
        begun.set_value();
        go.get_future().wait();
      }
      return {};
    });
    auto first = request("first", left), second = request("second", left), third = request("third", late);
    EXPECT_TRUE(queue.push(first));
    begun.get_future().wait();
    const base::CancelToken cancel = second.cancel;
    EXPECT_TRUE(queue.push(second));
    EXPECT_TRUE(queue.push(third));
    auto fourth = request("fourth", late);
    EXPECT_FALSE(queue.push(fourth)) << "two wait already";
    EXPECT_EQ(fourth.request.id, "fourth") << "and it is still the caller's";
    cancel.cancel();
    go.set_value();
    EXPECT_EQ(error_of(*left).code, base::Code::kCancelled);
  }
  EXPECT_LE(encoded, 2);
}

}  // namespace
}  // namespace pmt::inference
