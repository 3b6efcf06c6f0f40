// What models cost, for those who were wired once and ask for as long as the server runs: prices may change
// meanwhile. Thread-safety: any thread. Cost: a lock and a lookup for each price asked.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "app/config/config.h"
#include "llm/meter.h"
#include "response_cache/flight/single_flight.h"

namespace pmt::app {

class PriceBook {
 public:
  using Prices = std::map<std::string, Price>;  // by served model name
  explicit PriceBook(Prices prices) : shelf_(std::make_shared<Shelf>()) { set(std::move(prices)); }

  /// Dollars for one answer of `model`, by the prices of the moment; 0 while there is none for it. Outlives
  /// the book.
  response_cache::Price of(std::string model) const;
  /// The same with what the provider's cache took off.
  std::function<llm::Cost(const llm::Usage&)> cost_of(std::string model) const;
  void set(Prices prices);

 private:
  struct Shelf {
    /// All 0 while there is none.
    Price of(const std::string& model) {
      const std::lock_guard lock(mutex);
      const auto found = prices.find(model);
      return found == prices.end() ? Price() : found->second;
    }
    std::mutex mutex;
    Prices prices;  // under mutex
  };
  std::shared_ptr<Shelf> shelf_;
};

}  // namespace pmt::app
