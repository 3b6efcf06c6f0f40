#include "api/responses/response_object.h"

#include <algorithm>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json_text.h"

namespace pmt::api {
namespace {

/// The names of a finished response's members, as they are written. `extra`: members of an upstream's answer.
std::vector<std::string> names_with(const llm::MembersText& started, const llm::MembersText& extra) {
  ResponseObject response(
      {.id_stem = "ab", .model = "m", .created_unix_s = 1, .previous_response_id = "", .sent = {}});
  response.start({.model = "m", .created_unix_s = 1, .cache = {}, .more = started});
  response.end(llm::FinishReason::kStop);
  llm::Done done{.usage = {.prompt_tokens = 1, .completion_tokens = 1}, .report = {}, .extra = extra};
  response.finish(done, 2);
  const std::string json = response.json();
  std::vector<std::string> names;
  for (const base::JsonMember& member : base::members_of(json)) names.push_back(member.name);
  return names;
}

TEST(ResponseObject, NoMemberIsWrittenTwice) {
  const std::vector<std::string> own = names_with("", "");
  ASSERT_GT(own.size(), 20U);
  for (const std::string& name : own) {
    const std::string same = fmt::format(R"("{}":"an upstream's")", name);
    EXPECT_EQ(names_with("", same), own) << name;
    EXPECT_EQ(names_with(same, ""), own) << name;
  }
}

TEST(ResponseObject, WhatOnlyAnUpstreamSaysIsPassedOn) {
  const std::vector<std::string> names = names_with(R"("system_fingerprint":"fp")", R"("citations":[])");
  EXPECT_THAT(names, testing::IsSupersetOf({"system_fingerprint", "citations"}));
}

}  // namespace
}  // namespace pmt::api
