#include "app/config/price_book.h"

#include <utility>

namespace pmt::app {

response_cache::Price PriceBook::of(std::string model) const {
  return [shelf = shelf_, model = std::move(model)](const llm::Request&, const llm::Usage& usage) {
    Price price;
    {
      const std::lock_guard lock(shelf->mutex);
      const auto found = shelf->prices.find(model);
      if (found == shelf->prices.end()) return 0.0;
      price = found->second;
    }
    return dollars(price, usage);
  };
}

void PriceBook::set(Prices prices) {
  const std::lock_guard lock(shelf_->mutex);
  shelf_->prices = std::move(prices);
}

}  // namespace pmt::app
