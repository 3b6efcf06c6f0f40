#include "audit/audit.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pmt::audit {
namespace {

using base::Surface;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

CacheRow built_row(const std::string& name, const base::UsageCounter& usage) {
  return {.name = name,
          .built = true,
          .self_test = [] { return std::nullopt; },
          .usage = &usage,
          .counter_name = "response_cache.hits",
          .off_reason = [](Surface) { return std::nullopt; },
          .on_by_default = true};
}

const Cell& cell(const RowResult& row, Surface surface) {
  return row.cells[static_cast<int>(surface)];
}

TEST(Audit, NotBuiltSaysSoInEveryCell) {
  const Audit audit = build_audit({{.name = "knowledge cache"}});
  const RowResult& row = audit.rows.at(0);
  EXPECT_EQ(row.implemented, "no: not built yet");
  for (const Cell& c : row.cells) EXPECT_EQ(c.state, "off: not built yet");
  EXPECT_FALSE(row.production_ready);
  EXPECT_THAT(row.missing, ElementsAre("not built yet"));
  EXPECT_THAT(audit.verdict, StartsWith("No: of 1 caches 0 built and 0 used"));
}

TEST(Audit, CountsDecideUsedAndReady) {
  base::UsageCounter usage;
  CacheRow source = built_row("response cache", usage);
  source.off_reason = [](Surface s) -> std::optional<std::string> {
    if (s == Surface::kRlm) return "not built yet";
    return std::nullopt;
  };
  const Audit before = build_audit({source});
  EXPECT_EQ(cell(before.rows[0], Surface::kCompletions).state, "enabled, unused");
  EXPECT_EQ(cell(before.rows[0], Surface::kRlm).state, "off: not built yet");
  EXPECT_THAT(before.rows[0].missing, ElementsAre("not used yet"));
  EXPECT_EQ(before.verdict, "No: of 1 caches 1 built and 0 used. Built but never used: response cache.");

  usage.add(Surface::kCompletions, 1'700'000'123, {.n = 4});
  const Audit after = build_audit({source});
  EXPECT_EQ(cell(after.rows[0], Surface::kCompletions).state, "used");
  EXPECT_EQ(cell(after.rows[0], Surface::kCompletions).count, 4U);
  EXPECT_EQ(cell(after.rows[0], Surface::kCompletions).last_used_unix_s, 1'700'000'123);
  EXPECT_EQ(cell(after.rows[0], Surface::kPermutation).state, "enabled, unused");
  EXPECT_TRUE(after.rows[0].production_ready);
  EXPECT_EQ(after.verdict, "Yes: all 1 caches are built and used: response cache (plain completions 4).");
}

TEST(Audit, ACellIsTheSumOverUsers) {
  base::UsageCounter usage;
  usage.add(Surface::kRlm, 1'700'000'123,
            {.n = 4, .tokens = 40, .who = {.model = "m", .tenant = "a", .key = "k"}});
  usage.add(Surface::kRlm, 1'700'000'100,
            {.n = 3, .tokens = 2, .who = {.model = "m", .tenant = "b", .key = "l"}});
  usage.add(Surface::kRlm, 1'700'000'101);
  const RowResult row = build_audit({built_row("response cache", usage)}).rows.at(0);
  EXPECT_EQ(cell(row, Surface::kRlm).count, 8U);
  EXPECT_EQ(cell(row, Surface::kRlm).last_used_unix_s, 1'700'000'123);
  ASSERT_EQ(row.users.size(), 3U);
  const auto& ours = row.users.at({"m", "a", "k"})[static_cast<std::size_t>(Surface::kRlm)];
  EXPECT_EQ(ours.count, 4U);
  EXPECT_EQ(ours.tokens, 40);
  EXPECT_EQ(usage.of(Surface::kRlm).tokens, 42);
}

TEST(Audit, TheVerdictIsNotAboutWhatNothingHereCouldUse) {
  base::UsageCounter usage, none;
  usage.add(Surface::kCompletions, 1'700'000'123, {.n = 4});
  CacheRow upstreams = built_row("provider prompt cache", none);
  upstreams.off_reason = [](Surface) { return "no upstream"; };
  upstreams.concerns = false;
  const Audit audit = build_audit({built_row("response cache", usage), upstreams});
  EXPECT_EQ(audit.verdict, "Yes: all 1 caches are built and used: response cache (plain completions 4).");
  EXPECT_EQ(cell(audit.rows[1], Surface::kCompletions).state, "off: no upstream");
  EXPECT_FALSE(audit.rows[1].production_ready);
}

TEST(Audit, EachLackIsNamed) {
  base::UsageCounter usage;
  usage.add_failure();
  CacheRow source = built_row("response cache", usage);
  source.on_by_default = false;
  source.self_test = [] { return "stored 3, read 2"; };
  const Audit audit = build_audit({source});
  EXPECT_EQ(audit.rows[0].implemented, "no: self-test failed: stored 3, read 2");
  EXPECT_THAT(audit.rows[0].missing, ElementsAre("self-test failed: stored 3, read 2", "not on by default",
                                                 "not used yet", "1 failure"));
  EXPECT_THAT(audit.verdict, HasSubstr("response cache (self-test failed: stored 3, read 2)"));
}

TEST(Audit, TextFitsTheTerminalAndShowsCounts) {
  base::UsageCounter usage;
  usage.add(Surface::kPermutation, 1'700'000'123, {.n = 12});
  const std::string text = to_text(build_audit({built_row("response cache", usage),
                                                {.name = "knowledge cache"},
                                                {.name = "inference KV compression"},
                                                {.name = "prompt-lookup speculation"},
                                                {.name = "prefix reuse"}}));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 120U) << line;
  EXPECT_THAT(text, HasSubstr("response cache             yes           used 12"));
  EXPECT_THAT(text, HasSubstr("[response_cache.hits]"));
  EXPECT_THAT(text, HasSubstr("inference KV compression   no: not"));
  EXPECT_THAT(text, HasSubstr("No: of 5 caches 1 built and 1 used: response cache (PermutationEngine 12)."));
}

TEST(Audit, JsonHasTheContractsShape) {
  base::UsageCounter usage;
  usage.add(Surface::kUnified, 1'700'000'123, {.n = 2});
  const auto j = to_json(build_audit({built_row("response cache", usage), {.name = "prefix reuse"}}));
  const auto& first = j.at("caches").at(0);
  EXPECT_EQ(first.at("name"), "response cache");
  EXPECT_EQ(first.at("implemented"), true);
  EXPECT_EQ(first.at("used_in").at("unified"),
            (nlohmann::json{{"state", "used"}, {"count", 2}, {"last_used", 1'700'000'123}}));
  EXPECT_EQ(first.at("used_in").at("rlm").at("last_used"), nullptr);
  EXPECT_EQ(first.at("production_ready"),
            (nlohmann::json{{"value", true}, {"missing", nlohmann::json::array()}}));
  const auto& second = j.at("caches").at(1);
  EXPECT_EQ(second.at("implemented"), false);
  EXPECT_EQ(second.at("why"), "not built yet");
  EXPECT_EQ(second.at("production_ready").at("missing").at(0), "not built yet");
  EXPECT_EQ(second.at("used_in").size(), 4U);
}

}  // namespace
}  // namespace pmt::audit
