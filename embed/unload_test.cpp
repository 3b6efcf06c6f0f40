// libpermutation.so as a plug-in's host uses it: loaded, unloaded while it works, loaded twice, left open at the end.
#include <dlfcn.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "embed/test_library.h"

namespace pmt::embed {
namespace {

/// The library by its name in the file system; nothing of it is linked here.
class Loaded {
 public:
  explicit Loaded(const std::string& path) : library_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    EXPECT_NE(library_, nullptr) << dlerror();
  }
  ~Loaded() { unload(); }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  void unload() {
    if (library_ == nullptr) return;
    EXPECT_EQ(dlclose(library_), 0);
    library_ = nullptr;
  }
  template <class Function>
  Function* function(const char* name) const {
    void* const found = dlsym(library_, name);
    EXPECT_NE(found, nullptr) << name;
    return reinterpret_cast<Function*>(found);
  }

 private:
  void* library_;
};

struct Functions {
  explicit Functions(const Loaded& library)
      : engine_open(library.function<decltype(permutation_engine_open)>("permutation_engine_open")),
        engine_close(library.function<decltype(permutation_engine_close)>("permutation_engine_close")),
        complete(library.function<decltype(permutation_complete)>("permutation_complete")),
        cache_open(library.function<decltype(permutation_cache_open)>("permutation_cache_open")),
        cache_close(library.function<decltype(permutation_cache_close)>("permutation_cache_close")) {}
  permutation_engine* open(const std::string& config) const {
    permutation_engine* engine = nullptr;
    permutation_error error{};
    EXPECT_EQ(engine_open(config.data(), config.size(), &engine, &error), PERMUTATION_OK) << error.message;
    return engine;
  }

  decltype(permutation_engine_open)* engine_open;
  decltype(permutation_engine_close)* engine_close;
  decltype(permutation_complete)* complete;
  decltype(permutation_cache_open)* cache_open;
  decltype(permutation_cache_close)* cache_close;
};

TEST(Unload, ItIsLoadedAgainAndAgain) {
  const SilentServer server;
  for (int i = 0; i < 3; ++i) {
    const Loaded library(PMT_LIBRARY);
    const Functions call(library);
    permutation_cache* cache = nullptr;
    EXPECT_EQ(call.cache_open(nullptr, 0, &cache, nullptr), PERMUTATION_OK);
    EXPECT_EQ(call.engine_close(call.open(server.config())), PERMUTATION_OK);
    EXPECT_EQ(call.cache_close(cache), PERMUTATION_OK);
  }
}

TEST(Unload, WhatRunsGoesOn) {
  const SilentServer server;
  Loaded library(PMT_LIBRARY);
  const Functions call(library);
  permutation_engine* const engine = call.open(server.config());
  std::thread waiter([&] {
    permutation_text answer{};
    const int code = call.complete(engine, kFarRequest.data(), kFarRequest.size(), &answer, nullptr);
    EXPECT_TRUE(code == PERMUTATION_CANCELLED || code == PERMUTATION_CLOSED) << code;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  library.unload();
  EXPECT_EQ(call.engine_close(engine), PERMUTATION_OK);
  waiter.join();
}

TEST(Unload, TwoCopiesOfItShareNothing) {
  const SilentServer server;
  const auto copy =
      std::filesystem::temp_directory_path() / ("permutation-" + std::to_string(getpid()) + ".so");
  std::filesystem::copy_file(PMT_LIBRARY, copy);
  {
    const Loaded first(PMT_LIBRARY), second(copy);
    const Functions one(first), other(second);
    EXPECT_NE(one.complete, other.complete);
    permutation_engine* const mine = one.open(server.config());
    permutation_engine* const yours = other.open(server.config());
    EXPECT_EQ(one.engine_close(mine), PERMUTATION_OK);
    EXPECT_EQ(other.engine_close(yours), PERMUTATION_OK);
  }
  std::filesystem::remove(copy);
}

TEST(UnloadDeathTest, AProgramMayEndWithAllOpen) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto leave = [] {
    const SilentServer server;
    const Loaded library(PMT_LIBRARY);
    const Functions call(library);
    permutation_engine* const engine = call.open(server.config());
    permutation_cache* cache = nullptr;
    call.cache_open(nullptr, 0, &cache, nullptr);
    std::thread([&] {
      permutation_text answer{};
      call.complete(engine, kFarRequest.data(), kFarRequest.size(), &answer, nullptr);
    }).detach();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    std::exit(0);
  };
  EXPECT_EXIT(leave(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace pmt::embed
