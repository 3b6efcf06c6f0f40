// Invented records in five shapes, each with questions whose answers are computed from the same rows, and questions
// that the records can't answer: names that are nowhere, attributes that no column holds.
// Thread-safety: pure functions; one seed, one world.
#pragma once

#include <random>
#include <string>
#include <vector>

namespace pmt::evals {

struct TableItem {
  std::string kind;  // "lookup", "count", ..., "absent name", "absent attribute"
  std::string question;
  std::string wanted;  // "": the table can't tell
};

struct TableWorld {
  std::string shape;  // "CSV", ...
  std::string text;
  std::vector<TableItem> items;
};

/// Twenty questions each that can be answered, and five that can't.
std::vector<TableWorld> table_worlds(int seed);

}  // namespace pmt::evals
