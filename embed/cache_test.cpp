// permutation.h's response cache: what is kept, and an answer to everything that a caller can get wrong.
#include <sys/wait.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "embed/test_library.h"

namespace pmt::embed {
namespace {

permutation_key key_of(std::string_view name) {
  return permutation_cache_key(name.data(), name.size());
}

class CacheTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(permutation_cache_open(nullptr, 0, &cache, &error), PERMUTATION_OK); }
  void TearDown() override { permutation_cache_close(cache); }
  int store(std::string_view name, std::string_view value,
            const permutation_store_options* options = nullptr) {
    const permutation_key key = key_of(name);
    return permutation_cache_store(cache, &key, value.data(), value.size(), options, &error);
  }
  int get(std::string_view name, permutation_entry* entry) {
    const permutation_key key = key_of(name);
    return permutation_cache_get(cache, &key, entry);
  }

  permutation_cache* cache = nullptr;
  permutation_error error{};
};

TEST_F(CacheTest, GivesBackWhatWasStoredWithWhatItCost) {
  permutation_store_options options{};
  options.size = sizeof options;
  options.tokens = 12;
  options.usd = 0.5;
  ASSERT_EQ(store("q", "a value\n", &options), PERMUTATION_OK);
  permutation_entry entry;
  ASSERT_EQ(get("q", &entry), PERMUTATION_OK);
  EXPECT_STREQ(entry.value.data, "a value\n");
  EXPECT_EQ(entry.value.size, 8U);
  EXPECT_EQ(entry.tokens, 12);
  EXPECT_EQ(entry.usd, 0.5);
  EXPECT_GE(entry.age_s, 0);
  permutation_text_free(&entry.value);
  EXPECT_EQ(get("another", &entry), PERMUTATION_NOT_FOUND);
  EXPECT_EQ(entry.value.data, nullptr);
}

TEST_F(CacheTest, AValueOutlivesItsEntryAndItsCache) {
  ASSERT_EQ(store("q", "kept"), PERMUTATION_OK);
  permutation_entry entry;
  ASSERT_EQ(get("q", &entry), PERMUTATION_OK);
  const permutation_key key = key_of("q");
  EXPECT_EQ(permutation_cache_remove(cache, &key), PERMUTATION_OK);
  EXPECT_EQ(permutation_cache_remove(cache, &key), PERMUTATION_NOT_FOUND);
  EXPECT_EQ(permutation_cache_close(cache), PERMUTATION_OK);
  EXPECT_STREQ(entry.value.data, "kept");
  permutation_text_free(&entry.value);
  permutation_text_free(&entry.value);  // empty by now
  permutation_text_free(nullptr);
}

TEST_F(CacheTest, ReadsIntoTheCallersMemoryOrSaysHowMuchItTakes) {
  ASSERT_EQ(store("q", "12345"), PERMUTATION_OK);
  const permutation_key key = key_of("q");
  char buffer[5];
  std::size_t size = 0;
  EXPECT_EQ(permutation_cache_read(cache, &key, buffer, 4, &size), PERMUTATION_TOO_LARGE);
  EXPECT_EQ(size, 5U);
  ASSERT_EQ(permutation_cache_read(cache, &key, buffer, 5, &size), PERMUTATION_OK);
  EXPECT_EQ(std::string_view(buffer, size), "12345");
}

TEST_F(CacheTest, RefusesWhatIsNoText) {
  EXPECT_EQ(store("q", "\xff\xfe"), PERMUTATION_INVALID);
  EXPECT_STREQ(error.field, "value");
  permutation_store_options options{};
  EXPECT_EQ(store("q", "v", &options), PERMUTATION_INVALID);  // its size isn't set
  options.size = sizeof options;
  options.ttl_s = NAN;
  EXPECT_EQ(store("q", "v", &options), PERMUTATION_INVALID);
  options.ttl_s = 0;
  options.tag = "\xff";
  EXPECT_EQ(store("q", "v", &options), PERMUTATION_INVALID);
  permutation_entry entry;
  EXPECT_EQ(get("q", &entry), PERMUTATION_NOT_FOUND);
}

TEST_F(CacheTest, NullIsAnswered) {
  const permutation_key key = key_of("q");
  EXPECT_EQ(permutation_cache_get(cache, nullptr, nullptr), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_cache_read(cache, &key, nullptr, 1, nullptr), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_cache_store(cache, &key, nullptr, 3, nullptr, nullptr), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_cache_store(cache, &key, nullptr, 0, nullptr, nullptr), PERMUTATION_OK);  // ""
  EXPECT_EQ(permutation_cache_remove(cache, nullptr), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_cache_stats(cache, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_cache_open(nullptr, 0, nullptr, &error), PERMUTATION_INVALID);
  EXPECT_EQ(permutation_cache_close(nullptr), PERMUTATION_CLOSED);
  permutation_entry entry;
  EXPECT_EQ(permutation_cache_get(nullptr, &key, &entry), PERMUTATION_CLOSED);
}

TEST_F(CacheTest, AClosedOneIsAnsweredForEver) {
  ASSERT_EQ(permutation_cache_close(cache), PERMUTATION_OK);
  EXPECT_EQ(permutation_cache_close(cache), PERMUTATION_CLOSED);
  EXPECT_EQ(store("q", "v"), PERMUTATION_CLOSED);
  EXPECT_EQ(error.code, PERMUTATION_CLOSED);
  permutation_entry entry;
  EXPECT_EQ(get("q", &entry), PERMUTATION_CLOSED);
}

TEST_F(CacheTest, ClosesUnderItsUsers) {
  ASSERT_EQ(store("q", "v"), PERMUTATION_OK);
  std::atomic<int> hits{0};
  std::vector<std::thread> users;
  for (int i = 0; i < 4; ++i) {
    users.emplace_back([&] {
      permutation_entry entry;
      int code = PERMUTATION_OK;
      while ((code = get("q", &entry)) == PERMUTATION_OK) {
        ++hits;
        permutation_text_free(&entry.value);
      }
      EXPECT_EQ(code, PERMUTATION_CLOSED);
    });
  }
  while (hits < 1000) std::this_thread::yield();
  EXPECT_EQ(permutation_cache_close(cache), PERMUTATION_OK);
  for (std::thread& user : users) user.join();
}

TEST_F(CacheTest, CountsItsLookups) {
  ASSERT_EQ(store("q", "v"), PERMUTATION_OK);
  permutation_entry entry;
  ASSERT_EQ(get("q", &entry), PERMUTATION_OK);
  permutation_text_free(&entry.value);
  EXPECT_EQ(get("another", &entry), PERMUTATION_NOT_FOUND);
  Text figures;
  ASSERT_EQ(permutation_cache_stats(cache, figures.out(), &error), PERMUTATION_OK);
  const auto json = nlohmann::json::parse(figures.view());
  EXPECT_EQ(json["lookups"], 2);
  EXPECT_EQ(json["misses"], 1);
  EXPECT_EQ(json["entries"], 1);
}

TEST(CacheConfig, KeepsWithinItsLimitsAndOnItsDisk) {
  const auto folder = std::filesystem::temp_directory_path() / ("embed-cache-" + std::to_string(getpid()));
  const std::string config = "[cache]\nentries_max = 2\npath = \"" + folder.string() + "\"\n";
  permutation_cache* cache = nullptr;
  permutation_error error{};
  ASSERT_EQ(permutation_cache_open(config.data(), config.size(), &cache, &error), PERMUTATION_OK);
  const permutation_key key = key_of("q");
  ASSERT_EQ(permutation_cache_store(cache, &key, "kept", 4, nullptr, &error), PERMUTATION_OK);
  ASSERT_EQ(permutation_cache_close(cache), PERMUTATION_OK);
  ASSERT_EQ(permutation_cache_open(config.data(), config.size(), &cache, &error), PERMUTATION_OK);
  permutation_entry entry;
  ASSERT_EQ(permutation_cache_get(cache, &key, &entry), PERMUTATION_OK);
  EXPECT_STREQ(entry.value.data, "kept");
  permutation_text_free(&entry.value);
  permutation_cache_close(cache);
  std::filesystem::remove_all(folder);
}

TEST(CacheConfig, SaysWhichLineIsWrong) {
  const std::string config = "[cache]\nentries_maxx = 2\n";
  permutation_cache* cache = nullptr;
  permutation_error error{};
  EXPECT_EQ(permutation_cache_open(config.data(), config.size(), &cache, &error), PERMUTATION_INVALID);
  EXPECT_EQ(cache, nullptr);
  EXPECT_NE(std::string(error.message).find("config:2"), std::string::npos) << error.message;
  EXPECT_NE(std::string(error.message).find("entries_max"), std::string::npos) << error.message;
}

TEST_F(CacheTest, IsClosedInTheChildOfAFork) {
  ASSERT_EQ(store("q", "v"), PERMUTATION_OK);
  const pid_t child = fork();
  if (child == 0) {
    permutation_entry entry;
    const bool refused =
        get("q", &entry) == PERMUTATION_CLOSED && permutation_cache_close(cache) == PERMUTATION_CLOSED;
    permutation_cache* own = nullptr;
    const bool opens = permutation_cache_open(nullptr, 0, &own, nullptr) == PERMUTATION_OK;
    _exit(refused && opens && permutation_cache_close(own) == PERMUTATION_OK ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  permutation_entry entry;
  EXPECT_EQ(get("q", &entry), PERMUTATION_OK);
  permutation_text_free(&entry.value);
}

// Types are compared with abi.xml, which doesn't have the codes: they are ints where they are used.
static_assert(PERMUTATION_ABI == 1 && PERMUTATION_OK == 0 && PERMUTATION_END == 1 &&
              PERMUTATION_INVALID == 2 && PERMUTATION_NOT_FOUND == 3 && PERMUTATION_TOO_LARGE == 4 &&
              PERMUTATION_REFUSED == 5 && PERMUTATION_BUSY == 6 && PERMUTATION_CANCELLED == 7 &&
              PERMUTATION_TIMEOUT == 8 && PERMUTATION_UPSTREAM == 9 && PERMUTATION_CLOSED == 10 &&
              PERMUTATION_CALLBACK == 11 && PERMUTATION_IO == 12 && PERMUTATION_INTERNAL == 13);

}  // namespace
}  // namespace pmt::embed
