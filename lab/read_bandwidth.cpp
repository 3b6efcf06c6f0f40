#include "lab/read_bandwidth.h"

#include <cstdint>
#include <cstdlib>
#include <thread>
#include <vector>

#include "lab/measure.h"

namespace pmt::lab {

double read_bandwidth(int threads) {
  const std::size_t words = (std::size_t{256} << 20) / sizeof(std::uint64_t);
  std::vector<std::uint64_t> data(words, 1);
  std::vector<double> rates;
  for (int round = 0; round < 5; ++round) {
    std::vector<std::thread> readers;
    std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads) * 8);
    const Stopwatch watch;
    for (int t = 0; t < threads; ++t) {
      readers.emplace_back([&, t] {
        const std::size_t share = words / static_cast<std::size_t>(threads);
        std::uint64_t lanes[32] = {};
        const std::uint64_t* from = data.data() + share * static_cast<std::size_t>(t);
        for (std::size_t i = 0; i + 32 <= share; i += 32) {
          for (std::size_t j = 0; j < 32; ++j) lanes[j] += from[i + j];
        }
        for (const std::uint64_t lane : lanes) sums[static_cast<std::size_t>(t) * 8] += lane;
      });
    }
    for (auto& reader : readers) reader.join();
    rates.push_back(static_cast<double>(words * sizeof(std::uint64_t)) / watch.seconds());
    if (sums[0] == 0) std::exit(1);  // so that the reading isn't left out
  }
  return median(rates);
}

}  // namespace pmt::lab
