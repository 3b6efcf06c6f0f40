// permutation.h's engine without a model: what a caller can get wrong, calls that wait, callbacks, ends in any order.
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "embed/test_library.h"

namespace pmt::embed {
namespace {

class EngineTest : public OpenEngineTest {
 protected:
  int complete(std::string_view request) {
    return permutation_complete(engine, request.data(), request.size(), answer.out(), &error);
  }
  int stream(permutation_on_event on_event, void* user) {
    return permutation_stream(engine, kQuickPath, "", 0, on_event, user, &error);
  }
  permutation_call start() {
    permutation_call call = 0;
    EXPECT_EQ(permutation_start(engine, nullptr, kFarRequest.data(), kFarRequest.size(), &call, &error),
              PERMUTATION_OK);
    return call;
  }
  int next(permutation_call call, double timeout_s) {
    return permutation_next(engine, call, timeout_s, answer.out(), &error);
  }
};

TEST_F(EngineTest, SaysWhatIsWrongWithARequest) {
  EXPECT_EQ(complete("{"), PERMUTATION_INVALID);
  EXPECT_NE(std::string(error.message).find("JSON"), std::string::npos) << error.message;
  EXPECT_EQ(complete("\xff\xff"), PERMUTATION_INVALID);
  EXPECT_EQ(complete(R"({"model": "far/m", "messages": [{"role": "user", "content": "\xff"}]})"),
            PERMUTATION_INVALID);
  EXPECT_EQ(complete(R"({"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]})"),
            PERMUTATION_NOT_FOUND);
  EXPECT_STREQ(error.field, "model");
  EXPECT_EQ(
      complete(R"({"model": "far/m", "stream": true, "messages": [{"role": "user", "content": "Hi"}]})"),
      PERMUTATION_INVALID);
  EXPECT_STREQ(error.field, "stream");
  EXPECT_EQ(answer.view(), "");
}

TEST_F(EngineTest, NullIsAnswered) {
  EXPECT_EQ(permutation_complete(engine, nullptr, 3, answer.out(), &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_complete(engine, "{}", 2, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_complete(nullptr, "{}", 2, answer.out(), &error), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_stream(engine, nullptr, "{}", 2, nullptr, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_start(engine, nullptr, "{}", 2, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_next(engine, 1, 0, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_request(engine, nullptr, "/v1/models", nullptr, 0, answer.out(), &error),
            PERMUTATION_INVALID);
  EXPECT_EQ(permutation_learn(engine, nullptr, "{}", 2, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_forget(engine, "a/b", nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_engine_open("[cache]", 7, nullptr, &error), PERMUTATION_INVALID);
  permutation_engine* other = engine;
  EXPECT_EQ(permutation_engine_open_file("/nowhere", &other, nullptr), PERMUTATION_NOT_FOUND);
  EXPECT_EQ(other, nullptr);
}

TEST_F(EngineTest, AnswersEveryOtherEndpoint) {
  ASSERT_EQ(permutation_request(engine, "GET", "/v1/models", nullptr, 0, answer.out(), &error),
            PERMUTATION_OK);
  EXPECT_NE(answer.view().find("far/m"), std::string_view::npos) << answer.view();
  ASSERT_EQ(permutation_audit(engine, answer.out(), &error), PERMUTATION_OK);
  EXPECT_TRUE(nlohmann::json::parse(answer.view()).is_object());
  ASSERT_EQ(permutation_kv(engine, answer.out(), &error), PERMUTATION_OK);
  EXPECT_EQ(permutation_request(engine, "GET", "/v1/%zz", nullptr, 0, answer.out(), &error),
            PERMUTATION_INVALID);
  EXPECT_EQ(permutation_request(engine, "GET", "/nowhere", nullptr, 0, answer.out(), &error),
            PERMUTATION_NOT_FOUND);
}

TEST_F(EngineTest, ACallIsCancelledFromElsewhere) {
  const permutation_call call = start();
  EXPECT_EQ(next(call, 0.01), PERMUTATION_TIMEOUT);
  std::thread waiter([&] { EXPECT_EQ(next(call, -1), PERMUTATION_CANCELLED); });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(permutation_cancel(engine, call), PERMUTATION_OK);
  waiter.join();
  EXPECT_EQ(permutation_cancel(engine, call), PERMUTATION_NOT_FOUND);
  EXPECT_EQ(next(call, 0), PERMUTATION_NOT_FOUND);
  EXPECT_EQ(permutation_end(engine, start()), PERMUTATION_OK);
  EXPECT_EQ(next(12345, 0), PERMUTATION_NOT_FOUND);
}

TEST_F(EngineTest, ClosingEndsWhatWaits) {
  std::vector<std::thread> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([this] {
      Text mine;
      const int code =
          permutation_complete(engine, kFarRequest.data(), kFarRequest.size(), &mine.text, nullptr);
      EXPECT_TRUE(code == PERMUTATION_CANCELLED || code == PERMUTATION_CLOSED) << code;
    });
  }
  const permutation_call forgotten = start();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(permutation_engine_close(engine), PERMUTATION_OK);
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(permutation_engine_close(engine), PERMUTATION_CLOSED);
  EXPECT_EQ(next(forgotten, 0), PERMUTATION_CLOSED);
  EXPECT_EQ(complete(kFarRequest), PERMUTATION_CLOSED);
}

TEST_F(EngineTest, ACallbackMayCallEverythingButClose) {
  struct Seen {
    permutation_engine* engine;
    int events = 0;
  } seen{engine};
  const auto on_event = [](void* user, const char* event, std::size_t size) {
    auto* const mine = static_cast<Seen*>(user);
    EXPECT_EQ(std::string_view(event).size(), size);
    EXPECT_EQ(permutation_engine_close(mine->engine), PERMUTATION_REFUSED);
    Text models;
    EXPECT_EQ(permutation_request(mine->engine, "GET", "/v1/models", nullptr, 0, &models.text, nullptr),
              PERMUTATION_OK);
    ++mine->events;
    return 0;
  };
  EXPECT_EQ(stream(on_event, &seen), PERMUTATION_OK) << error.message;
  EXPECT_EQ(seen.events, 1);
}

TEST_F(EngineTest, ACallbackThatThrowsOrStopsEndsItsRequest) {
  EXPECT_EQ(stream([](void*, const char*, std::size_t) -> int { throw std::runtime_error("mine"); }, nullptr),
            PERMUTATION_CALLBACK);
  EXPECT_EQ(error.code, PERMUTATION_CALLBACK);
  EXPECT_EQ(stream([](void*, const char*, std::size_t) { return 1; }, nullptr), PERMUTATION_CANCELLED);
  EXPECT_EQ(permutation_engine_close(engine), PERMUTATION_OK);  // the scope of a callback has ended
}

TEST_F(EngineTest, TheCacheOutlivesItsEngine) {
  permutation_cache* cache = nullptr;
  ASSERT_EQ(permutation_engine_cache(engine, &cache, &error), PERMUTATION_OK);
  const permutation_key key = permutation_cache_key("q", 1);
  ASSERT_EQ(permutation_cache_store(cache, &key, "v", 1, nullptr, &error), PERMUTATION_OK);
  ASSERT_EQ(permutation_request(engine, "GET", "/v1/cache/entries/q", nullptr, 0, answer.out(), &error),
            PERMUTATION_OK);
  EXPECT_EQ(nlohmann::json::parse(answer.view())["value"], "v");
  ASSERT_EQ(permutation_engine_close(engine), PERMUTATION_OK);
  permutation_entry entry;
  ASSERT_EQ(permutation_cache_get(cache, &key, &entry), PERMUTATION_OK);
  EXPECT_STREQ(entry.value.data, "v");
  permutation_text_free(&entry.value);
  EXPECT_EQ(permutation_cache_close(cache), PERMUTATION_OK);
}

TEST_F(EngineTest, TwoShareNothing) {
  permutation_engine* other = nullptr;
  const std::string config = server.config();
  ASSERT_EQ(permutation_engine_open(config.data(), config.size(), &other, &error), PERMUTATION_OK);
  const std::string value = R"({"value": 1})";
  ASSERT_EQ(permutation_request(engine, "PUT", "/v1/cache/entries/q", value.data(), value.size(),
                                answer.out(), &error),
            PERMUTATION_OK);
  EXPECT_EQ(permutation_request(other, "GET", "/v1/cache/entries/q", nullptr, 0, answer.out(), &error),
            PERMUTATION_NOT_FOUND);
  EXPECT_EQ(permutation_engine_close(engine), PERMUTATION_OK);
  EXPECT_EQ(permutation_request(other, "GET", "/v1/models", nullptr, 0, answer.out(), &error),
            PERMUTATION_OK);
  EXPECT_EQ(permutation_engine_close(other), PERMUTATION_OK);
}

}  // namespace
}  // namespace pmt::embed
