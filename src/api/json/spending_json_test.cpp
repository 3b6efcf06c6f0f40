#include "api/json/spending_json.h"

#include <gtest/gtest.h>

namespace pmt::api {
namespace {

using nlohmann::json;

TEST(SpendingJson, OfAllOrOfOneTenant) {
  base::FakeClock clock;
  llm::Meter meter(clock);
  const llm::Usage reported{
      .prompt_tokens = 100, .completion_tokens = 10, .cached_prompt_tokens = 60, .cache_written_tokens = 20};
  meter.add({.model = "p/m", .tenant = "a", .key = "ann"}, reported,
            {.upstream = true, .cost = {.usd = 0.5, .prompt_cache_saved_usd = 0.25}});
  meter.add({.model = "p/m", .tenant = "b", .key = "bob"}, {.prompt_tokens = 100, .cached_prompt_tokens = 0},
            {.upstream = true, .cost = {.usd = 2}});
  meter.add({.model = "own", .tenant = "b", .key = "bob"}, {.prompt_tokens = 9}, {});
  const std::vector<Access::Budget> budgets = {
      {.key = "ann", .tenant = "a", .usd_per_day = 1, .spent_usd = 0.5, .refusals = 3}};

  const json all = spending_json(meter, budgets, std::nullopt);
  EXPECT_EQ(all.at("answers"), 3);
  EXPECT_EQ(all.at("usd"), 2.5);
  EXPECT_EQ(all.at("usd_saved"), 0.25);
  EXPECT_EQ(all.at("answers_reported"), 2) << "the third's model said nothing of such a cache";
  EXPECT_EQ(all.at("hit_rate"), 0.5);
  EXPECT_EQ(all.at("token_hit_rate"), 0.3);
  EXPECT_EQ(all.at("tokens"), json({{"read", 60}, {"written", 20}, {"missed", 120}}));
  EXPECT_EQ(all.at("models").size(), 3U);
  EXPECT_EQ(all.at("models").at(0).at("upstream"), false) << "in the order of their names";
  EXPECT_EQ(all.at("models").at(1).at("key"), "ann");
  EXPECT_EQ(
      all.at("budgets"),
      json::array(
          {{{"key", "ann"}, {"tenant", "a"}, {"usd_per_day", 1.0}, {"spent_usd", 0.5}, {"refused", 3}}}));

  const json of_b = spending_json(meter, budgets, "b");
  EXPECT_EQ(of_b.at("usd"), 2);
  EXPECT_EQ(of_b.at("models").size(), 2U);
  EXPECT_EQ(of_b.at("hit_rate"), 0);
  EXPECT_EQ(of_b.at("budgets"), json::array());
  EXPECT_EQ(spending_json(meter, budgets, "c").at("token_hit_rate"), 0) << "of nothing";
}

}  // namespace
}  // namespace pmt::api
