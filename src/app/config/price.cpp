#include "app/config/price.h"

namespace pmt::app {
namespace {

double of_mtok(std::int64_t tokens, double per_mtok) {
  constexpr double kMtok = 1e6;
  return static_cast<double>(tokens) * per_mtok / kMtok;
}

}  // namespace

double dollars(const Price& price, const llm::Usage& usage) {
  return of_mtok(llm::plain_prompt_tokens(usage), price.input_per_mtok) +
         of_mtok(usage.cached_prompt_tokens.value_or(0),
                 price.cached_input_per_mtok.value_or(price.input_per_mtok)) +
         of_mtok(usage.cache_written_tokens, price.cache_write_per_mtok.value_or(price.input_per_mtok)) +
         of_mtok(usage.reasoning_tokens, price.reasoning_output_per_mtok.value_or(price.output_per_mtok)) +
         of_mtok(usage.completion_tokens - usage.reasoning_tokens, price.output_per_mtok);
}

double prompt_cache_saving(const Price& price, const llm::Usage& usage) {
  llm::Usage without = usage;
  without.cached_prompt_tokens.reset();
  without.cache_written_tokens = 0;
  return dollars(price, without) - dollars(price, usage);
}

}  // namespace pmt::app
