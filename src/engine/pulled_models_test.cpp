#include "engine/pulled_models.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/model_files.h"
#include "engine/test_home.h"

namespace pmt::engine {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class PulledModels : public TestHome {
 protected:
  static PulledModel model(const std::string& name, const std::string& source) {
    return {.name = name,
            .source = source,
            .server = "https://hub.example",
            .revision = "abc",
            .file = name + ".gguf",
            .bytes = 5,
            .sha256 = "aa",
            .fetched = {{.file = name + ".gguf", .bytes = 5, .sha256 = "aa", .etag = "\"e\""}}};
  }
  static void install(const PulledModel& model, const fs::path& folder) {
    fs::create_directories(folder);
    ASSERT_TRUE(write_record(folder, model));
    std::ofstream(folder / model.file) << "bytes";
  }
  static void install(const std::string& name, const std::string& source) {
    install(model(name, source), pulled_folder(name));
  }
};

TEST_F(PulledModels, ARecordIsReadAsItWasWritten) {
  install("m-q4_k_m", "hf:u/m:Q4_K_M");
  const auto read = read_record(pulled_folder("m-q4_k_m"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->source, "hf:u/m:Q4_K_M");
  EXPECT_EQ(read->server, "https://hub.example");
  EXPECT_EQ(read->revision, "abc");
  EXPECT_EQ(read->fetched, model("m-q4_k_m", "").fetched);
  EXPECT_EQ(read->path(), home_ / "models" / "m-q4_k_m" / "m-q4_k_m.gguf");
}

TEST_F(PulledModels, OnlyWhatIsWholeIsListed) {
  install("a", "hf:u/a:Q4_0");
  install("b", "hf:u/b:Q4_0");
  fs::resize_file(home_ / "models" / "b" / "b.gguf", 4);
  install(model("c", "hf:u/c:Q4_0"), pull_folder("c"));
  fs::create_directories(pulled_folder("by-hand"));
  ASSERT_EQ(pulled_models().size(), 1U);
  EXPECT_EQ(pulled_models()[0].name, "a");
  ASSERT_EQ(unfinished_pulls().size(), 1U);
  EXPECT_EQ(unfinished_pulls()[0].name, "c");
  EXPECT_FALSE(find_pulled("c"));
}

TEST_F(PulledModels, AHostileRecordIsNone) {
  for (const char* record :
       {"", "{}", "[", R"({"name": "../x", "file": "x.gguf"})", R"({"name": "x", "file": "../x.gguf"})",
        R"({"name": "x", "file": "x.gguf", "fetched": [{"file": "a/b"}]})", R"({"name": 1, "file": []})"}) {
    fs::create_directories(pulled_folder("x"));
    std::ofstream(pulled_folder("x") / "source.json") << record;
    EXPECT_FALSE(read_record(pulled_folder("x"))) << record;
  }
}

TEST_F(PulledModels, AModelIsFoundByNameAndBySource) {
  install("m-q4_k_m", "hf:User/M:Q4_K_M");
  install("other", "https://host.example/x/other.gguf");
  for (const char* spec : {"m-q4_k_m", "hf:User/M:Q4_K_M", "hf:user/m:q4_k_m", "hf:User/M"}) {
    const auto found = find_model(model_from_spec(spec));
    ASSERT_TRUE(found) << spec << ": " << found.error().message;
    EXPECT_EQ(found->name, "m-q4_k_m");
    EXPECT_EQ(found->path, (home_ / "models" / "m-q4_k_m" / "m-q4_k_m.gguf").string());
  }
  EXPECT_EQ(find_model(model_from_spec("https://host.example/x/other.gguf"))->name, "other");
  EXPECT_EQ(find_model({.name = "mine", .path = "hf:User/M"})->name, "mine");
  EXPECT_TRUE(find_embedder({.path = "hf:User/M"}));
}

TEST_F(PulledModels, WhatIsNotHereSaysHowToPullIt) {
  install("m-q4_k_m", "hf:u/m:Q4_K_M");
  for (const char* spec : {"hf:u/m:Q8_0", "hf:u/m@v2:Q4_K_M", "hf:v/m", "https://host.example/m.gguf"}) {
    const auto found = find_model(model_from_spec(spec));
    ASSERT_FALSE(found) << spec;
    EXPECT_THAT(found.error().message, HasSubstr(std::string("permutation models pull ") + spec));
  }
  const auto unknown = find_model(model_from_spec("gpt-9"));
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("m-q4_k_m")) << "names what there is";
}

TEST_F(PulledModels, SeveralThatFitAreNamed) {
  install("m-q4_k_m", "hf:u/m:Q4_K_M");
  install("m-q8_0", "hf:u/m:Q8_0");
  const auto found = find_pulled("hf:u/m");
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().message, HasSubstr("m-q4_k_m, m-q8_0"));
  EXPECT_EQ(find_pulled("hf:u/m:Q8_0")->name, "m-q8_0");
}

}  // namespace
}  // namespace pmt::engine
