#include "app/demo/demo_document.h"

#include <array>
#include <random>
#include <string_view>

#include <fmt/format.h>

namespace pmt::app {

namespace {

constexpr std::array<std::string_view, 8> kPlaces{"Aldmoor",  "Brinsea",  "Caldwick", "Dunholt",
                                                  "Eastmere", "Farncote", "Gorsley",  "Hexbridge"};
constexpr std::array<std::string_view, 8> kGoods{"copper wire", "roof tiles",  "lamp oil",    "wool bales",
                                                 "oak planks",  "salt crates", "paper reams", "glass jars"};

/// Not std::uniform_int_distribution: its results differ between libraries.
std::uint32_t below(std::mt19937& random, std::uint32_t bound) {
  return random() % bound;
}

}  // namespace

DemoDocument demo_document(std::uint32_t seed, int records) {
  std::mt19937 random(seed);
  const std::uint32_t code = 1000 + below(random, 9000);
  DemoDocument document{
      .text = "Ledger of the river depots.\n",
      .question = "What is the access code of the Marlow vault? Answer with the number only.",
      .answer = fmt::format("{}", code)};
  for (int record = 1; record <= records; ++record) {
    if (record == records / 2)
      document.text += fmt::format("The access code of the Marlow vault is {}.\n", code);
    const std::uint32_t count = 10 + below(random, 90);
    const std::string_view place = kPlaces[below(random, kPlaces.size())];
    const std::string_view goods = kGoods[below(random, kGoods.size())];
    document.text += fmt::format("Record {}: the depot at {} received {} {} on day {}.\n", record, place,
                                 count, goods, 1 + below(random, 365));
  }
  return document;
}

}  // namespace pmt::app
