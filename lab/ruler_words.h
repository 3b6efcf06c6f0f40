// Names, values and sentences that ruler.h's texts are made of: all ours, none of them a word that a model would expect
// where it stands. Thread-safety: pure but for the generator that is passed in. Errors: none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace pmt::lab {

/// The same numbers from the same seeds on every machine and library.
class RulerRandom {
 public:
  explicit RulerRandom(std::initializer_list<std::uint32_t> seeds);
  /// Requires n > 0.
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_()) % n; }
  /// [0, 1).
  double share() { return static_cast<double>(random_() >> 11U) * 0x1p-53; }
  template <class T>
  void shuffle(std::vector<T>& all) {
    for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[below(i)]);
  }

 private:
  std::mt19937_64 random_;
};

/// "amber-lantern": each of some thousands once, in the order of the generator. None contains another.
std::vector<std::string> ruler_names(RulerRandom& random);
/// "lampwood", likewise.
std::vector<std::string> ruler_compounds(RulerRandom& random);
/// Letters between `first` and `last`.
std::string ruler_letters(RulerRandom& random, std::size_t length, char first, char last);
/// Seven digits, the first of them no zero.
std::string ruler_number(RulerRandom& random);
/// A random (version 4) UUID.
std::string ruler_uuid(RulerRandom& random);
/// Plain sentences that say the same again and again.
const std::vector<std::string>& ruler_noise();

}  // namespace pmt::lab
