#include "rlm/tables/cell_values.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include <fmt/format.h>

namespace pmt::rlm {
namespace {

double number(std::string_view cell, DecimalSign sign = DecimalSign::kPoint) {
  const auto read = read_number(cell, sign);
  EXPECT_TRUE(read) << cell;
  return read ? read->value : 0;
}

TEST(CellValues, NumbersAsPeopleWriteThem) {
  EXPECT_EQ(number("42"), 42);
  EXPECT_EQ(number(" 1,234,567 "), 1'234'567);
  EXPECT_EQ(number("$1,234.50"), 1'234.5);
  EXPECT_EQ(number("-$5"), -5);
  EXPECT_EQ(number("($300)"), -300);
  EXPECT_EQ(number("12%"), 12);
  EXPECT_EQ(number("1 234 567"), 1'234'567);
  EXPECT_EQ(number("1'234"), 1'234);
  EXPECT_EQ(number("USD 7.25"), 7.25);
  EXPECT_EQ(number("1.234,50 €", DecimalSign::kComma), 1'234.5);
  EXPECT_EQ(number("3,5", DecimalSign::kComma), 3.5);
  EXPECT_EQ(number(".5"), .5);
  EXPECT_EQ(number("1.5e-3"), 1.5e-3);
  EXPECT_EQ(read_number("$9", DecimalSign::kPoint)->unit, "$");
  EXPECT_TRUE(read_number("9", DecimalSign::kPoint)->whole);
  EXPECT_FALSE(read_number("9.0", DecimalSign::kPoint)->whole);
}

TEST(CellValues, WhatIsNoNumber) {
  for (const char* cell : {"", "007", "1,23", "1,2345", "12-13", "4 apples", "1.2.3", "1.", "-", "$", "()",
                           "1e", "--1", "1234567890123456", "10.0.0.1", "NaN", "inf", "0x10"}) {
    EXPECT_FALSE(read_number(cell, DecimalSign::kPoint)) << cell;
  }
}

/// A plus sign and another sign between the parts of a day take the long way.
TEST(CellValues, TheShortWayReadsAsTheLongOne) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 3'000; ++i) {
    std::string cell;
    for (std::size_t n = 1 + random() % 16; n > 0; --n)
      cell += "0123456789012345678901234567890123456789.,"[random() % 42];
    for (const auto sign : {DecimalSign::kPoint, DecimalSign::kComma}) {
      const auto one = read_number(cell, sign), other = read_number("+" + cell, sign);
      ASSERT_EQ(one.has_value(), other.has_value()) << cell;
      if (!one) continue;
      ASSERT_EQ(one->value, other->value) << cell;
      ASSERT_EQ(one->whole, other->whole) << cell;
    }
    const std::string day =
        fmt::format("{:04}-{:02}-{:02}", random() % 3 * 1'000, random() % 15, random() % 35);
    std::string slashes = day;
    std::ranges::replace(slashes, '-', '/');
    const auto one = read_date(day, DayOrder::kDayFirst), other = read_date(slashes, DayOrder::kDayFirst);
    ASSERT_EQ(one.has_value(), other.has_value()) << day;
    if (one) ASSERT_EQ(one->iso, other->iso);
  }
}

std::string iso(std::string_view cell, DayOrder order = DayOrder::kMonthFirst) {
  const auto date = read_date(cell, order);
  return date ? date->iso : "none";
}

TEST(CellValues, DaysInMixedForms) {
  for (const char* cell : {"2026-03-01", "2026/3/1", "1 March 2026", "March 1, 2026", "Mar 1st, 2026",
                           "01-Mar-2026", "03/01/2026", "3/1/26", "Sun, 01 Mar 2026"}) {
    EXPECT_EQ(iso(cell), "2026-03-01") << cell;
  }
  for (const char* cell :
       {"2026-03-01T10:20:30Z", "2026-03-01 10:20:30.125+02:00", "01/Mar/2026:10:20:30 +0000",
        "03/01/2026 10:20:30 AM", "Sun, 01 Mar 2026 10:20:30 GMT"}) {
    EXPECT_EQ(iso(cell), "2026-03-01 10:20:30") << cell;
  }
  EXPECT_EQ(iso("01.03.2026", DayOrder::kDayFirst), "2026-03-01");
  EXPECT_EQ(iso("31/03/2026"), "2026-03-31") << "there is no month 31";
  EXPECT_TRUE(read_date("31/03/2026", DayOrder::kMonthFirst)->proves_day_first);
  EXPECT_TRUE(read_date("03/31/2026", DayOrder::kDayFirst)->proves_month_first);
  EXPECT_EQ(iso("2026-03-01 1:05 pm"), "2026-03-01 13:05:00");
}

TEST(CellValues, WhatIsNoDay) {
  for (const char* cell :
       {"", "2026", "12:30", "1.2.3", "10.0.0.1", "2026-13-01", "2026-01-32", "Mar 1 10:00:00", "1-2-3-4",
        "version 1.2.2026", "32/13/2026", "2026-01-01 25:00", "2026-01-01 10:00 EXTRA"}) {
    EXPECT_EQ(iso(cell), "none") << cell;
  }
}

TEST(CellValues, TimesOfDay) {
  EXPECT_EQ(time_of_day("9:30"), "09:30");
  EXPECT_EQ(time_of_day("23:59:58"), "23:59:58");
  for (const char* none :
       {"", ":", "::30", "24:00", "9:60", "12:30:61", "12:30:1", "1:2", "a:30", "12-30", "123:30"})
    EXPECT_EQ(time_of_day(none), "") << none;
}

TEST(CellValues, WhatIsNotThere) {
  EXPECT_TRUE(is_missing(""));
  EXPECT_TRUE(is_missing("N/A"));
  EXPECT_FALSE(is_missing("NA")) << "Namibia";
  EXPECT_TRUE(may_be_missing("NA"));
  EXPECT_FALSE(may_be_missing("0"));
}

}  // namespace
}  // namespace pmt::rlm
