// What a model's tokens cost, in US dollars a million tokens: [prices."MODEL"] of the configuration.
// Thread-safety: plain data and pure functions.
#pragma once

#include <optional>

#include "llm/usage.h"

namespace pmt::app {

struct Price {
  double input_per_mtok = 0;
  double output_per_mtok = 0;
  std::optional<double> cached_input_per_mtok = {};      // read from the provider's cache; unset: as input
  std::optional<double> cache_write_per_mtok = {};       // written to it; unset: as input
  std::optional<double> reasoning_output_per_mtok = {};  // thinking; unset: as output
};

/// Dollars for one answer: plain input, what the provider's cache read and was written, thinking, the rest.
double dollars(const Price& price, const llm::Usage& usage);

/// What the provider's cache took off that, its writing paid: below 0 where it cost more than it saved.
double prompt_cache_saving(const Price& price, const llm::Usage& usage);

}  // namespace pmt::app
