// permutation.h's answers to what no caller should do: texts that aren't UTF-8, NULL everywhere, calls and waits inside of a
// callback, a parent's engine in a child. Each stands in the header.
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <string>
#include <thread>

#include <permutation/permutation.hpp>

#include "embed/test_library.h"

namespace pmt::embed {
namespace {

const std::string kNoUtf8 = "caf\xe9";

class Misuse : public OpenEngineTest {
 protected:
  int models(permutation_engine* whom) {
    return permutation_request(whom, "GET", "/v1/models", nullptr, 0, answer.out(), &error);
  }
};

TEST_F(Misuse, WhatIsNotUtf8IsRefused) {
  const std::string request =
      R"({"model": "far/m", "messages": [{"role": "user", "content": ")" + kNoUtf8 + R"("}]})";
  EXPECT_EQ(permutation_complete(engine, request.data(), request.size(), answer.out(), &error),
            PERMUTATION_INVALID);
  EXPECT_NE(std::string(error.message).find("UTF-8"), std::string::npos) << error.message;
  permutation_engine* other = nullptr;
  const std::string config = "[[upstream]]\nname = \"" + kNoUtf8 + "\"\n";
  EXPECT_EQ(permutation_engine_open(config.data(), config.size(), &other, &error), PERMUTATION_INVALID);
  EXPECT_EQ(other, nullptr);
  permutation_cache* cache = nullptr;
  EXPECT_EQ(permutation_cache_open(config.data(), config.size(), &cache, &error), PERMUTATION_INVALID);
  EXPECT_EQ(cache, nullptr);
  const std::string facts = R"({"facts": [{"prompt": "p", "answer": ")" + kNoUtf8 + R"("}]})";
  EXPECT_NE(permutation_learn(engine, "acme", facts.data(), facts.size(), nullptr, &error), PERMUTATION_OK);
  EXPECT_EQ(permutation_learn(engine, kNoUtf8.c_str(), "{}", 2, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_forget(engine, kNoUtf8.c_str(), nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_knowledge(engine, kNoUtf8.c_str(), answer.out(), &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_request(engine, "GET", kNoUtf8.c_str(), nullptr, 0, answer.out(), &error),
            PERMUTATION_INVALID);
  EXPECT_NE(permutation_request(engine, kNoUtf8.c_str(), "/v1/models", nullptr, 0, answer.out(), &error),
            PERMUTATION_OK);
}

TEST_F(Misuse, ANullHandleIsAClosedOne) {
  permutation_call call = 0;
  permutation_cache* cache = nullptr;
  const auto on_event = [](void*, const char*, std::size_t) { return 0; };
  EXPECT_EQ(permutation_complete(nullptr, "{}", 2, answer.out(), &error), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_stream(nullptr, nullptr, "{}", 2, on_event, nullptr, &error), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_start(nullptr, nullptr, "{}", 2, &call, &error), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_next(nullptr, 1, 0, answer.out(), &error), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_cancel(nullptr, 1), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_end(nullptr, 1), PERMUTATION_CLOSED);
  EXPECT_EQ(models(nullptr), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_audit(nullptr, answer.out(), &error), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_kv(nullptr, answer.out(), &error), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_learn(nullptr, "acme", "{}", 2, nullptr, &error), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_forget(nullptr, "acme", nullptr, &error), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_knowledge(nullptr, nullptr, answer.out(), &error), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_engine_cache(nullptr, &cache, &error), PERMUTATION_CLOSED);
  EXPECT_EQ(permutation_engine_close(nullptr), PERMUTATION_CLOSED);
}

TEST_F(Misuse, ANullOutputIsInvalid) {
  EXPECT_EQ(permutation_audit(engine, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_kv(engine, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_knowledge(engine, nullptr, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_engine_cache(engine, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_learn(engine, "acme", nullptr, 2, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_request(engine, "GET", nullptr, nullptr, 0, answer.out(), &error),
            PERMUTATION_INVALID);
  EXPECT_EQ(permutation_engine_open(nullptr, 1, nullptr, nullptr), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_engine_open_file(nullptr, &engine, &error), PERMUTATION_INVALID);
}

TEST_F(Misuse, ACallbackMayAskAndStreamInItself) {
  struct Seen {
    permutation_engine* engine;
    permutation_on_event on_event = nullptr;
    int depth = 0, deepest = 0;
  } seen{engine};
  seen.on_event = [](void* user, const char*, std::size_t) {
    auto* const mine = static_cast<Seen*>(user);
    mine->deepest = std::max(mine->deepest, ++mine->depth);
    if (mine->depth < 3) {
      EXPECT_EQ(permutation_stream(mine->engine, kQuickPath, "", 0, mine->on_event, mine, nullptr),
                PERMUTATION_OK);
    }
    permutation_cache* cache = nullptr;
    EXPECT_EQ(permutation_engine_cache(mine->engine, &cache, nullptr), PERMUTATION_OK);
    EXPECT_EQ(permutation_cache_close(cache), PERMUTATION_REFUSED);
    EXPECT_EQ(permutation_engine_close(mine->engine), PERMUTATION_REFUSED);
    --mine->depth;
    return 0;
  };
  EXPECT_EQ(permutation_stream(engine, kQuickPath, "", 0, seen.on_event, &seen, &error), PERMUTATION_OK);
  EXPECT_EQ(seen.deepest, 3);
}

TEST_F(Misuse, ACallbackThatWaitsDelaysNobodyElse) {
  std::promise<void> waits, release;
  struct Both {
    std::promise<void>*waits, *release;
  } both{&waits, &release};
  const auto on_event = [](void* user, const char*, std::size_t) {
    auto* const mine = static_cast<Both*>(user);
    mine->waits->set_value();
    mine->release->get_future().wait();
    return 0;
  };
  std::thread slow([&] {
    EXPECT_EQ(permutation_stream(engine, kQuickPath, "", 0, on_event, &both, nullptr), PERMUTATION_OK);
  });
  waits.get_future().wait();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(models(engine), PERMUTATION_OK);
  // The close waits for it, and refuses all others from now on.
  std::thread closer([&] { EXPECT_EQ(permutation_engine_close(engine), PERMUTATION_OK); });
  while (models(engine) != PERMUTATION_CLOSED) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  release.set_value();
  slow.join();
  closer.join();
}

TEST_F(Misuse, AnEngineIsClosedInTheChildOfAFork) {
  const pid_t child = fork();
  if (child == 0) {
    _exit(models(engine) == PERMUTATION_CLOSED && permutation_engine_close(engine) == PERMUTATION_CLOSED ? 0
                                                                                                         : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(models(engine), PERMUTATION_OK);
}

TEST_F(Misuse, WhatWasMovedFromIsClosed) {
  auto opened = permutation::Engine::open(server.config());
  ASSERT_TRUE(opened);
  const permutation::Engine mine = std::move(*opened);
  EXPECT_TRUE(mine.request("GET", "/v1/models"));
  auto wrong = opened->complete("{}");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, PERMUTATION_CLOSED);
  EXPECT_THROW(wrong.value(), std::runtime_error);
  auto events = mine.stream("{");
  for (const std::string_view event : events) ADD_FAILURE() << event;
  EXPECT_EQ(events.error().code, PERMUTATION_INVALID);
}

}  // namespace
}  // namespace pmt::embed
