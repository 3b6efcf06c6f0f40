#include "response_cache/store/invalidation.h"

#include <random>

#include <gtest/gtest.h>

#include "response_cache/store/entry.h"

namespace pmt::response_cache {
namespace {

const Key kKey = base::sha256("a key");

TEST(Filters, GoThroughJson) {
  const Filter all{.tag = "t", .model = "m", .name_space = "n", .tenant = "o", .key_prefix = "0aF"};
  const auto back = read_filter(filter_json(all));
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, all);
  EXPECT_EQ(*read_filter(nlohmann::json::object()), Filter{});
  for (const char* wrong : {"[]", "1", R"({"tag":1})", R"({"tags":"t"})", R"({"prefix":"xyz"})"})
    EXPECT_FALSE(read_filter(nlohmann::json::parse(wrong))) << wrong;
}

TEST(InvalidationTable, CoversWhatCameLater) {
  InvalidationTable table;
  const StoreOptions meta{.tenant = "o", .name_space = "n", .model = "m", .tags = {"t", "u"}};
  table.add({.tag = "u"}, 5);
  table.add({.tag = "z"}, 9);
  EXPECT_TRUE(table.covers(kKey, meta, 4));
  EXPECT_FALSE(table.covers(kKey, meta, 5));
  table.add({.tag = "u"}, 3);  // an older number does not set it back
  EXPECT_TRUE(table.covers(kKey, meta, 4));
  EXPECT_EQ(table.last(), 9U);
  table.add({.tag = "t", .tenant = "p"}, 10);
  EXPECT_FALSE(table.covers(kKey, meta, 9));
  table.add({.tag = "t", .tenant = "o"}, 11);
  EXPECT_TRUE(table.covers(kKey, meta, 10));
  table.add({}, 12);
  EXPECT_TRUE(table.covers(kKey, {}, 11));
  EXPECT_FALSE(table.covers(kKey, {}, 12));
}

/// Against every filter kept in a list.
TEST(InvalidationTable, AgreesWithANaiveOne) {
  std::mt19937 random(1);
  const auto any = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  const auto name = [&] { return std::string(1, static_cast<char>('a' + any(3))); };
  InvalidationTable table;
  std::vector<std::pair<Filter, std::uint64_t>> all;
  for (std::uint64_t number = 1; number < 400; ++number) {
    Filter filter;
    if (any(2) == 0) filter.tag = name();
    if (any(4) == 0) filter.model = name();
    if (any(4) == 0) filter.name_space = name();
    if (any(4) == 0) filter.tenant = name();
    if (any(4) == 0)
      filter.key_prefix = base::sha256(name()).hex().substr(0, static_cast<std::size_t>(any(65)));
    if (filter == Filter{}) continue;
    table.add(filter, number);
    all.emplace_back(filter, number);
    const Key key = base::sha256(name());
    const StoreOptions meta{
        .tenant = name(), .name_space = name(), .model = name(), .tags = {name(), name()}};
    const std::uint64_t since = static_cast<std::uint64_t>(any(static_cast<int>(number) + 1));
    bool expected = false;
    for (const auto& [one, at] : all) expected = expected || (at > since && Matcher(one)(key, meta));
    ASSERT_EQ(table.covers(key, meta, since), expected) << number;
  }
}

TEST(InvalidationTable, ForgetsOnTheSafeSide) {
  InvalidationTable table;
  for (std::uint64_t i = 1; i <= InvalidationTable::kFiltersMax + 1; ++i)
    table.add({.tag = std::to_string(i)}, i);
  EXPECT_TRUE(table.covers(kKey, {}, 5));
  EXPECT_FALSE(table.covers(kKey, {}, InvalidationTable::kFiltersMax + 1));
}

TEST(InvalidationTable, ForgetsOfTheTenantThatUsedMost) {
  InvalidationTable table;
  std::uint64_t number = 0;
  table.add({.tag = "t", .tenant = "quiet"}, ++number);
  for (std::uint64_t i = 0; i < InvalidationTable::kFiltersMax; ++i)
    table.add({.tag = std::to_string(i), .tenant = "loud"}, ++number);
  EXPECT_TRUE(table.covers(kKey, {.tenant = "loud"}, 5));
  EXPECT_FALSE(table.covers(kKey, {.tenant = "quiet"}, 0));
  EXPECT_FALSE(table.covers(kKey, {}, 0));
  EXPECT_TRUE(table.covers(kKey, {.tenant = "quiet", .tags = {"t"}}, 0));
  // Filters of several parts are dearer, and no way around it.
  for (int i = 0; i < 200; ++i)
    table.add({.tag = std::to_string(i), .model = "m", .tenant = "loud"}, ++number);
  EXPECT_FALSE(table.covers(kKey, {.tenant = "quiet"}, 0));
  EXPECT_TRUE(table.covers(kKey, {.tenant = "loud"}, number - 150));
}

TEST(InvalidationTable, TooManyTenantsAreForgottenOnTheSafeSide) {
  InvalidationTable table;
  for (std::uint64_t i = 1; i <= InvalidationTable::kFiltersMax + 1; ++i)
    table.add({.tenant = std::to_string(i)}, i);
  EXPECT_TRUE(table.covers(kKey, {.tenant = "7"}, 5));
  EXPECT_FALSE(table.covers(kKey, {.tenant = "7"}, InvalidationTable::kFiltersMax + 1));
}

TEST(Filters, GrowCoarserWithinTheirTenant) {
  EXPECT_EQ(coarser({{.tag = "t", .tenant = "a"}, {.model = "m", .tenant = "b"}, {.tenant = "a"}}),
            (std::vector<Filter>{{.tenant = "a"}, {.tenant = "b"}}));
  EXPECT_EQ(coarser({{.tag = "t", .tenant = "a"}, {.tag = "t"}}), std::vector<Filter>{Filter{}});
}

}  // namespace
}  // namespace pmt::response_cache
