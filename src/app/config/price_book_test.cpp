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

/// A prompt of a million tokens: 600,000 read from the provider's cache, 300,000 written to it.
constexpr Price kPrice{.input_per_mtok = 3,
                       .output_per_mtok = 15,
                       .cached_input_per_mtok = 0.3,
                       .cache_write_per_mtok = 3.75,
                       .reasoning_output_per_mtok = 20};
llm::Usage of_a_million() {
  return {.prompt_tokens = 1'000'000,
          .completion_tokens = 100'000,
          .cached_prompt_tokens = 600'000,
          .cache_written_tokens = 300'000,
          .reasoning_tokens = 40'000};
}

TEST(Price, EachKindOfTokenHasItsOwn) {
  EXPECT_DOUBLE_EQ(dollars(kPrice, of_a_million()), 0.1 * 3 + 0.6 * 0.3 + 0.3 * 3.75 + 0.04 * 20 + 0.06 * 15);
  const Price plain{.input_per_mtok = 3, .output_per_mtok = 15};
  EXPECT_DOUBLE_EQ(dollars(plain, of_a_million()), 3 + 1.5) << "unset: as input, as output";
  Price free = kPrice;
  free.cached_input_per_mtok = 0;
  EXPECT_NEAR(dollars(kPrice, of_a_million()) - dollars(free, of_a_million()), 0.18, 1e-12) << "0 is a price";
}

TEST(Price, WhatTheProvidersCacheSavedIsNetOfItsWriting) {
  EXPECT_NEAR(prompt_cache_saving(kPrice, of_a_million()), 0.6 * 2.7 - 0.3 * 0.75, 1e-12);
  EXPECT_LT(prompt_cache_saving(kPrice, {.prompt_tokens = 1000, .cache_written_tokens = 1000}), 0);
  EXPECT_DOUBLE_EQ(prompt_cache_saving(kPrice, {.prompt_tokens = 1000}), 0);
}

TEST(PriceBook, AnAnswersPriceHasItsCachedDiscount) {
  const PriceBook book(PriceBook::Prices{{"m", kPrice}});
  EXPECT_DOUBLE_EQ(book.of("m")({}, of_a_million()), dollars(kPrice, of_a_million()));
  const llm::Cost cost = book.cost_of("m")(of_a_million());
  EXPECT_DOUBLE_EQ(cost.usd, dollars(kPrice, of_a_million()));
  EXPECT_DOUBLE_EQ(cost.prompt_cache_saved_usd, prompt_cache_saving(kPrice, of_a_million()));
}

}  // namespace
}  // namespace pmt::app
