#include "base/hash.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::base {
namespace {

/// The digests are those of `printf %s TEXT | sha256sum`.
TEST(Hash, IsSha256) {
  EXPECT_EQ(sha256("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256(std::string(1000, 'a')).hex(),
            "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3");
  EXPECT_EQ(sha256("abc").hex(), sha256("abc").hex()) << "nothing stays from the call before";
}

TEST(Hash, OfEveryThreadIsTheSame) {
  const Digest expected = sha256("a key");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 1000; ++k) ASSERT_EQ(sha256("a key"), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace pmt::base
