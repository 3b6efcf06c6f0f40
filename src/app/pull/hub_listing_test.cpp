#include <stdlib.h>

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/pull/remote_plan.h"

namespace pmt::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kSum[] = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

HubListing listing(const std::vector<std::string>& paths) {
  HubListing out{.commit = "abc"};
  for (const std::string& path : paths) out.files.push_back({.path = path, .bytes = 1000, .sha256 = kSum});
  return out;
}

std::vector<std::string> chosen(const std::vector<std::string>& paths, const std::string& wanted) {
  const auto files = choose_files(listing(paths), {.repo = "u/r", .wanted = wanted});
  if (!files) return {files.error().message};
  std::vector<std::string> names;
  for (const HubListing::File& file : *files) names.push_back(file.path);
  return names;
}

TEST(HubListing, TakesSizesAndSumsOfLargeFiles) {
  const std::string json = R"({"sha": "c0ffee", "siblings": [
    {"rfilename": "README.md", "size": 12, "blobId": "1"},
    {"rfilename": "m.gguf", "size": 134, "lfs": {"sha256": ")" +
                           std::string(kSum) + R"(", "size": 98362432, "pointerSize": 134}},
    {"rfilename": "n.gguf", "lfs": {"sha256": "short", "size": "big"}}, 7]})";
  const auto read = read_listing(json);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->commit, "c0ffee");
  ASSERT_EQ(read->files.size(), 4U);
  EXPECT_EQ(read->files[0].bytes, 12);
  EXPECT_EQ(read->files[0].sha256, "");
  EXPECT_EQ(read->files[1].bytes, 98362432);
  EXPECT_EQ(read->files[1].sha256, kSum);
  EXPECT_EQ(read->files[2].bytes, -1);
  EXPECT_EQ(read->files[2].sha256, "");
}

TEST(HubListing, NonsenseIsNoListing) {
  for (const char* text : {"", "<html>", "[]", "{}", R"({"siblings": 3})", R"({"siblings": []})"}) {
    const auto read = read_listing(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, base::Code::kBadGateway);
  }
}

TEST(HubListing, AQuantizationNamesOneModel) {
  const std::vector<std::string> repo{"README.md",
                                      "m-Q4_K_M.gguf",
                                      "m-Q4_K_S.gguf",
                                      "m-IQ4_XS.gguf",
                                      "mmproj-Q8_0.gguf",
                                      "m.imatrix.gguf",
                                      "m-Q8_0-00002-of-00002.gguf",
                                      "m-F16.gguf",
                                      "m-Q8_0-00001-of-00002.gguf"};
  EXPECT_THAT(chosen(repo, "Q4_K_M"), ElementsAre("m-Q4_K_M.gguf"));
  EXPECT_THAT(chosen(repo, "iq4_xs"), ElementsAre("m-IQ4_XS.gguf"));
  EXPECT_THAT(chosen(repo, ""), ElementsAre("m-Q4_K_M.gguf")) << "the usual one";
  EXPECT_THAT(chosen(repo, "Q8_0"), ElementsAre("m-Q8_0-00001-of-00002.gguf", "m-Q8_0-00002-of-00002.gguf"));
  EXPECT_THAT(chosen(repo, "m-Q8_0-00002-of-00002.gguf"), testing::SizeIs(2)) << "one part names all";
  EXPECT_THAT(chosen(repo, "mmproj-Q8_0.gguf"), ElementsAre("mmproj-Q8_0.gguf")) << "by its name anything";
  EXPECT_THAT(chosen({"only-F16.gguf", "mmproj.gguf"}, ""), ElementsAre("only-F16.gguf"));
}

TEST(HubListing, WhatIsNotThereOrNotClearListsWhatThereIs) {
  const std::vector<std::string> repo{"m-Q4_K_M.gguf", "m-Q8_0.gguf", "old/m-Q8_0.gguf"};
  EXPECT_THAT(chosen(repo, "Q2_K")[0], HasSubstr("no GGUF of \"Q2_K\". It has:\n  m-Q4_K_M.gguf  1000 B"));
  EXPECT_THAT(chosen(repo, "Q8_0")[0],
              HasSubstr("several GGUFs: write one's quantization or path after a colon"));
  EXPECT_THAT(chosen(repo, "Q8_0")[0], Not(HasSubstr("Q4_K_M")));
  EXPECT_THAT(chosen(repo, "old/m-Q8_0.gguf"), ElementsAre("old/m-Q8_0.gguf"));
  EXPECT_THAT(chosen({"m-Q8_0.gguf", "m-F16.gguf"}, "")[0], HasSubstr("several GGUFs"));
  EXPECT_THAT(chosen({"model.safetensors"}, "")[0], HasSubstr("no GGUF file"));
}

TEST(HubListing, MissingPartsAreNoticedBeforeTheDownload) {
  EXPECT_THAT(chosen({"m-Q8_0-00001-of-00003.gguf", "m-Q8_0-00003-of-00003.gguf"}, "Q8_0")[0],
              HasSubstr("2 of the 3 parts"));
}

TEST(HubOfEnvironment, ATokenIsNotSentInTheClear) {
  setenv("HF_ENDPOINT", "https://mirror.example/hub/", 1);
  setenv("HF_TOKEN", "secret", 1);
  EXPECT_EQ(hub_of_environment()->url, "https://mirror.example/hub");
  setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);
  EXPECT_TRUE(hub_of_environment());
  setenv("HF_ENDPOINT", "http://mirror.example", 1);
  const auto refused = hub_of_environment();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("unencrypted"));
  EXPECT_THAT(refused.error().message, Not(HasSubstr("secret")));
  unsetenv("HF_TOKEN");
  EXPECT_TRUE(hub_of_environment());
  setenv("HF_ENDPOINT", "mirror.example", 1);
  EXPECT_THAT(hub_of_environment().error().message, HasSubstr("HF_ENDPOINT"));
  unsetenv("HF_ENDPOINT");
  EXPECT_EQ(hub_of_environment()->url, "") << "a link needs no hub";
}

}  // namespace
}  // namespace pmt::app
