#include "app/config/price_book.h"

#include <utility>

namespace pmt::app {

response_cache::Price PriceBook::of(std::string model) const {
  return [shelf = shelf_, model = std::move(model)](const llm::Request&, const llm::Usage& usage) {
    return dollars(shelf->of(model), usage);
  };
}

std::function<llm::Cost(const llm::Usage&)> PriceBook::cost_of(std::string model) const {
  return [shelf = shelf_, model = std::move(model)](const llm::Usage& usage) {
    const Price price = shelf->of(model);
    return llm::Cost{.usd = dollars(price, usage),
                     .prompt_cache_saved_usd = prompt_cache_saving(price, usage)};
  };
}

void PriceBook::set(Prices prices) {
  const std::lock_guard lock(shelf_->mutex);
  shelf_->prices = std::move(prices);
}

}  // namespace pmt::app
