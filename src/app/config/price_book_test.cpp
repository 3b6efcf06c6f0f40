#include "app/config/price_book.h"

#include <optional>

#include <gtest/gtest.h>

namespace pmt::app {
namespace {

TEST(PriceBook, APriceThatWasWiredOnceFollowsTheBook) {
  llm::Usage usage;
  usage.prompt_tokens = 1'000'000;
  usage.completion_tokens = 500'000;
  std::optional<PriceBook> book(PriceBook::Prices{{"m", {.input_per_mtok = 1, .output_per_mtok = 4}}});
  const auto price = book->of("m"), other = book->of("n");
  EXPECT_DOUBLE_EQ(price({}, usage), 3);
  EXPECT_DOUBLE_EQ(other({}, usage), 0);
  book->set({{"m", {.input_per_mtok = 2, .output_per_mtok = 4}}, {"n", {.input_per_mtok = 1}}});
  EXPECT_DOUBLE_EQ(price({}, usage), 4);
  EXPECT_DOUBLE_EQ(other({}, usage), 1);
  book.reset();
  EXPECT_DOUBLE_EQ(price({}, usage), 4);
}

}  // namespace
}  // namespace pmt::app
