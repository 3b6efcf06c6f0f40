#include "net/content_coding.h"

#include <random>

#include <gmock/gmock.h>

#include "net/test_packing.h"

namespace pmt::net {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::size_t kNoLimit = 1 << 30;

/// Text that compresses about as JSON does.
std::string words(std::size_t bytes) {
  std::mt19937 random(7);
  std::string out;
  while (out.size() < bytes) out += "word" + std::to_string(random() % 5000) + ", ";
  out.resize(bytes);
  return out;
}

std::string packed(std::string_view coding, std::string_view text) {
  if (coding == "zstd") return zstd_of(text);
  return deflated(text, coding == "deflate" ? ZlibFormat::kZlib : ZlibFormat::kGzip);
}

std::string error_of(std::string_view coding, std::string_view body, std::size_t bytes_max = kNoLimit) {
  const auto decoded = decode_content(coding, body, bytes_max);
  return decoded ? "no error" : decoded.error().message;
}

TEST(ContentCoding, SaysWhatWasPacked) {
  for (const char* coding : {"gzip", "GZip", "x-gzip", "deflate", "zstd", "ZSTD"}) {
    EXPECT_TRUE(is_content_coding(coding));
    const std::string_view plain = std::string_view(coding) == "ZSTD" ? "zstd" : coding;
    for (const std::size_t size :
         {0, 1, 1000, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, 128 * 1024, 300'000}) {
      const std::string text = words(size);
      const auto decoded = decode_content(coding, packed(plain, text), size);
      ASSERT_TRUE(decoded) << coding << " " << size << ": " << decoded.error().message;
      EXPECT_TRUE(*decoded == text) << coding << " " << size;
    }
  }
  for (const char* other : {"br", "compress", "identity", "gzip, gzip", "", "gzi"})
    EXPECT_FALSE(is_content_coding(other));
}

TEST(ContentCoding, PartsThatFollowEachOtherAreOneBody) {
  for (const char* coding : {"gzip", "zstd"}) {
    const auto decoded = decode_content(coding, packed(coding, "one ") + packed(coding, "two"), kNoLimit);
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(*decoded, "one two");
  }
}

TEST(ContentCoding, ADamagedBodyIsAnErrorThatNamesTheEncoding) {
  const std::string text = words(200'000);
  for (const char* coding : {"gzip", "deflate", "zstd"}) {
    const std::string whole = packed(coding, text);
    const auto named = AllOf(HasSubstr(coding), HasSubstr("can't be decoded"));
    for (const std::size_t size : {std::size_t{1}, std::size_t{5}, whole.size() / 2, whole.size() - 1}) {
      EXPECT_THAT(error_of(coding, whole.substr(0, size)), AllOf(named, HasSubstr("cut off"))) << size;
    }
    EXPECT_THAT(error_of(coding, R"({"model": "x"})"), named);
    EXPECT_THAT(error_of(coding, whole + "and more"), named);
    std::string flipped = whole;
    flipped[whole.size() / 2] = static_cast<char>(flipped[whole.size() / 2] ^ 0x10);
    const auto decoded = decode_content(coding, flipped, kNoLimit);
    EXPECT_TRUE(!decoded || std::string_view(coding) == "zstd") << "a checksum tells";
  }
  EXPECT_THAT(error_of("deflate", deflated(text, ZlibFormat::kRaw)), HasSubstr("can't be decoded"));
  EXPECT_THAT(error_of("zstd", zstd_of(words(100'000), 24)), HasSubstr("can't be decoded"))
      << "a window of 16 MiB";
  EXPECT_EQ(error_of("zstd", zstd_of(words(100'000), 23)), "no error");
}

TEST(ContentCoding, NoMutationBreaksIt) {
  std::mt19937 random(11);
  for (const char* coding : {"gzip", "deflate", "zstd"}) {
    const std::string whole = packed(coding, words(3000));
    for (int i = 0; i < 2000; ++i) {
      std::string bytes = whole;
      for (int flips = 0; flips < 3; ++flips) bytes[random() % bytes.size()] = static_cast<char>(random());
      const auto decoded = decode_content(coding, bytes, 10'000);
      EXPECT_TRUE(!decoded || decoded->size() <= 10'000U);
    }
  }
}

TEST(ContentCoding, ItStopsAtTheLimit) {
  const std::string text = words(50'000);
  for (const char* coding : {"gzip", "deflate", "zstd"}) {
    EXPECT_EQ(error_of(coding, packed(coding, text), 50'000), "no error");
    const auto over = decode_content(coding, packed(coding, text), 49'999);
    ASSERT_FALSE(over);
    EXPECT_EQ(over.error().code, base::Code::kTooLarge);
    EXPECT_THAT(over.error().message, HasSubstr("limit of 49999 bytes"));
  }
}

TEST(ContentCoding, ABombIsNotUnpacked) {
  const std::string zeros(40 << 20, '\0');
  for (const char* coding : {"gzip", "zstd"}) {
    const std::string bomb = packed(coding, zeros);
    ASSERT_LT(bomb.size(), 400'000U);
    const auto decoded = decode_content(coding, bomb, kNoLimit);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, base::Code::kTooLarge);
    EXPECT_THAT(decoded.error().message, HasSubstr("100 times its size"));
  }
  // What repeats itself and is small is no bomb.
  EXPECT_EQ(error_of("gzip", packed("gzip", std::string(1 << 20, 'x'))), "no error");
}

}  // namespace
}  // namespace pmt::net
