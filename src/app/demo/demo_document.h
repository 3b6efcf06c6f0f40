// A long document of our own making for the demo: a warehouse ledger from a seeded generator, with one
// planted line that a question asks about. Thread-safety: pure.
#pragma once

#include <cstdint>
#include <string>

namespace pmt::app {

struct DemoDocument {
  std::string text;
  std::string question;
  std::string answer;  // the planted fact, which the right answer must contain
};

/// The same `seed` and `records` give the same bytes everywhere. About 24 tokens a record.
DemoDocument demo_document(std::uint32_t seed, int records);

}  // namespace pmt::app
