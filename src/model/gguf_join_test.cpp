#include "model/gguf_join.h"

#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <ggml.h>
#include <gguf.h>
#include <gmock/gmock.h>

#include "model/gguf_file.h"
#include "model/testing/hostile.h"
#include "model/testing/tiny_model.h"

namespace pmt::model {
namespace {

using ::testing::HasSubstr;

/// A tiny model, and its three parts as gguf-split makes them.
class GgufJoin : public ::testing::Test {
 protected:
  GgufJoin() {
    for (int part = 0; part < kParts; ++part) parts_.push_back(fmt::format("{}.part{}", whole_.path(), part));
    joined_ = whole_.path() + ".joined";
    ggml_context* tensors = nullptr;
    gguf_context* all = gguf_init_from_file(whole_.path().c_str(), {.no_alloc = false, .ctx = &tensors});
    const auto count = gguf_get_n_tensors(all);
    for (int part = 0; part < kParts; ++part) {
      gguf_context* out = gguf_init_empty();
      if (part == 0) gguf_set_kv(out, all);
      gguf_set_val_u16(out, "split.no", static_cast<std::uint16_t>(part));
      gguf_set_val_u16(out, "split.count", kParts);
      gguf_set_val_i32(out, "split.tensors.count", static_cast<std::int32_t>(count));
      for (std::int64_t i = part * count / kParts; i < (part + 1) * count / kParts; ++i)
        gguf_add_tensor(out, ggml_get_tensor(tensors, gguf_get_tensor_name(all, i)));
      gguf_write_to_file(out, parts_[static_cast<std::size_t>(part)].c_str(), false);
      gguf_free(out);
    }
    names_.reserve(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i) names_.emplace_back(gguf_get_tensor_name(all, i));
    gguf_free(all);
    ggml_free(tensors);
  }
  ~GgufJoin() override {
    for (const std::string& part : parts_) std::filesystem::remove(part);
    std::filesystem::remove(joined_);
  }
  static std::vector<char> bytes_of(const GgufFile& file, const std::string& name) {
    const auto tensor = file.find_tensor(name);
    if (!tensor) return {};
    std::vector<char> bytes(tensor->bytes);
    EXPECT_TRUE(file.read_tensor(*tensor, bytes.data()));
    return bytes;
  }
  std::string refused(const std::vector<std::string>& parts) const {
    const auto done = join_gguf(parts, joined_);
    return done ? "" : done.error().message;
  }

  static constexpr int kParts = 3;
  testing::TinyModel whole_{
      {.hidden = 36, .heads = 4, .tokenizer = true}};  // rows that don't fill a tensor's padding
  std::vector<std::string> parts_, names_;
  std::string joined_;
};

TEST_F(GgufJoin, TheJoinedFileIsTheWhole) {
  const auto done = join_gguf(parts_, joined_);
  ASSERT_TRUE(done) << done.error().message;
  const auto whole = GgufFile::open(whole_.path()), joined = GgufFile::open(joined_);
  ASSERT_TRUE(joined) << joined.error().message;
  ASSERT_GT(names_.size(), 6U);
  for (const std::string& name : names_) {
    EXPECT_FALSE(bytes_of(*joined, name).empty()) << name;
    EXPECT_EQ(bytes_of(*joined, name), bytes_of(*whole, name)) << name;
  }
  EXPECT_EQ(*joined->text("general.architecture"), *whole->text("general.architecture"));
  EXPECT_FALSE(joined->has("split.count"));
  EXPECT_EQ(testing::try_load(joined_), testing::try_load(whole_.path()));
}

TEST_F(GgufJoin, APartAloneIsNoModel) {
  const auto opened = GgufFile::open(parts_[0]);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("one part of a model"));
}

TEST_F(GgufJoin, PartsThatDontBelongTogetherAreRefused) {
  EXPECT_THAT(refused({parts_[0], parts_[2], parts_[1]}),
              HasSubstr("it says that it is part 3 of 3, not 2 of 3"));
  EXPECT_THAT(refused({parts_[0], parts_[1]}), HasSubstr("part 1 of 3, not 1 of 2"));
  EXPECT_THAT(refused({whole_.path(), parts_[1], parts_[2]}), HasSubstr("part 0 of -1"));
  EXPECT_THAT(refused({parts_[0], parts_[1], "no-such-part"}), HasSubstr("no-such-part"));
}

TEST_F(GgufJoin, ADamagedPartIsRefused) {
  std::filesystem::resize_file(parts_[1], std::filesystem::file_size(parts_[1]) - 100);
  EXPECT_THAT(refused(parts_), HasSubstr("truncated"));
}

}  // namespace
}  // namespace pmt::model
