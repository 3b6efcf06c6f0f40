#include "model/utf8_stream.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace pmt::model {
namespace {

std::string decode_in_pieces(const std::string& bytes, const std::vector<std::size_t>& lengths) {
  Utf8Stream stream;
  std::string out;
  std::size_t at = 0;
  for (const std::size_t length : lengths) {
    out += stream.push(bytes.substr(at, length));
    at += length;
  }
  return out + stream.flush();
}

TEST(Utf8StreamTest, HoldsBackHalfACharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xE2"), "a");
  EXPECT_EQ(stream.push("\x82"), "");
  EXPECT_FALSE(stream.empty());
  EXPECT_EQ(stream.push("\xAC!"), "\xE2\x82\xAC!");
  EXPECT_TRUE(stream.empty());
  EXPECT_EQ(stream.flush(), "");
}

TEST(Utf8StreamTest, AnIncompleteTailBecomesOneReplacementCharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("\xF0\x9F\x98"), "");
  EXPECT_EQ(stream.flush(), "\uFFFD");
  EXPECT_EQ(stream.push("ok"), "ok");
}

// The examples of the Unicode Standard, section 3.9, "U+FFFD Substitution of Maximal Subparts".
TEST(Utf8StreamTest, InvalidBytesAreReplacedByMaximalSubparts) {
  const std::string r = "\uFFFD";
  EXPECT_EQ(decode_in_pieces("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", {9}),
            r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(decode_in_pieces("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", {9}),
            r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(decode_in_pieces("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", {9}), r + r + r + r + "A");
  EXPECT_EQ(decode_in_pieces("\xF4\x90\x80\x80\xF5", {5}), r + r + r + r + r);
}

TEST(Utf8StreamTest, HowItIsCutNeverMatters) {
  std::mt19937 random(17);
  const std::vector<std::string> alphabet = {
      "a",    "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\x80", "\xE2",
      "\xF0", "\xFF",     "\xC3",         "\xED\xA0",         "z"};
  for (int round = 0; round < 2000; ++round) {
    std::string bytes;
    for (int i = 0; i < 12; ++i) bytes += alphabet[random() % alphabet.size()];
    const std::string whole = decode_in_pieces(bytes, {bytes.size()});
    std::vector<std::size_t> lengths;
    for (std::size_t at = 0; at < bytes.size(); at += lengths.back()) {
      lengths.push_back(std::min<std::size_t>(1 + random() % 4, bytes.size() - at));
    }
    ASSERT_EQ(decode_in_pieces(bytes, lengths), whole);
  }
}

}  // namespace
}  // namespace pmt::model
