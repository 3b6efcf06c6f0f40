// Seeded random damage to valid bodies: whatever comes, parsing ends with a request or an error, and the
// error renders as JSON.
#include <random>

#include <gtest/gtest.h>

#include "api/errors.h"
#include "api/json/parse.h"
#include "api/routes/supported.h"

namespace pmt::api {
namespace {

const std::string kBodies[] = {
    R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"né \ud83d\ude00"}]}],"stop":["a"],"n":2,
        "logit_bias":{"5":1.5},"seed":-3,"permutation":{"cache":{"mode":"on","tags":["x"],"semantic":{"error_max":0.1}},
        "kv":{"ratio":2},"budget":{"tokens":5},"knowledge":["a"]}})",
    R"({"model":"m","prompt":[[1,2,3]],"logprobs":3,"echo":true,"best_of":1,"stream_options":{"include_usage":false}})",
};

/// Pieces that often break parsers, beside single random bytes.
const std::string kPieces[] = {"[",        "]",    "{",     "}",  "\"",   "\\u0000",
                               "\\ud800",  "null", "1e400", "-0", "true", "\xF0\x9F",
                               "\x00\x01", "[[[[", ":",     ",",  "{}",   "9223372036854775808"};

std::string damaged(std::string body, std::mt19937& random) {
  const int edits = std::uniform_int_distribution(1, 6)(random);
  for (int i = 0; i < edits && !body.empty(); ++i) {
    const auto at = std::uniform_int_distribution<std::size_t>(0, body.size() - 1)(random);
    switch (random() % 4) {
      case 0:
        body[at] = static_cast<char>(random());
        break;
      case 1:
        body.erase(at, random() % 8);
        break;
      case 2:
        body.insert(at, kPieces[random() % std::size(kPieces)]);
        break;
      default:
        body.insert(at, body.substr(random() % body.size(), random() % 32));
        break;
    }
  }
  return body;
}

TEST(ParseFuzz, DamagedBodiesNeverCrash) {
  std::mt19937 random(20240607);
  int refused = 0;
  constexpr int kRounds = 20'000;
  for (int i = 0; i < kRounds; ++i) {
    const int which = i % 2;
    const auto endpoint = which == 0 ? llm::Endpoint::kChat : llm::Endpoint::kCompletions;
    auto call = parse_completion(endpoint, damaged(kBodies[which], random), {});
    const base::Status verdict =
        call ? check_supported(*call, Answerer::kModel) : base::Status(base::Error(call.error()));
    if (verdict) continue;
    ++refused;
    const base::Error& error = verdict.error();
    ASSERT_EQ(error.code, base::Code::kInvalidArgument) << error.message;
    ASSERT_TRUE(nlohmann::json::accept(error_body(error))) << error.message;
  }
  // Most damage is fatal; that some passes shows that not everything is refused for one reason.
  EXPECT_GT(refused, kRounds / 2);
  EXPECT_LT(refused, kRounds);
}

}  // namespace
}  // namespace pmt::api
