#include "response_cache/store/key_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace pmt::response_cache {
namespace {

struct Node {
  Key key;
  int value = 0;
};

// Few distinct hashes, so that probes collide, wrap around and shift back.
TEST(KeyTable, AgreesWithAMapOverRandomOperationsThatCollide) {
  std::mt19937 random(11);
  KeyTable<Node> table;
  std::map<Key, int> map;
  for (int step = 0; step < 200'000; ++step) {
    Key key;
    key.bytes[8] = static_cast<std::uint8_t>(0xF8 + random() % 8);  // homes at the table's end
    key.bytes[9] = static_cast<std::uint8_t>(random() % 3);
    key.bytes[20] = static_cast<std::uint8_t>(random() % (step < 100'000 ? 20 : 4));
    const auto* const found = table.find(key);
    const auto expected = map.find(key);
    ASSERT_EQ(found != nullptr, expected != map.end()) << step;
    if (found == nullptr) {
      table.insert(std::make_shared<Node>(Node{key, step}));
      map[key] = step;
    } else {
      ASSERT_EQ((*found)->value, expected->second);
      ASSERT_EQ(table.erase(**found)->value, expected->second);
      map.erase(expected);
    }
    ASSERT_EQ(table.size(), map.size());
  }
  for (const auto& [key, value] : map) ASSERT_EQ((*table.find(key))->value, value);
}

}  // namespace
}  // namespace pmt::response_cache
