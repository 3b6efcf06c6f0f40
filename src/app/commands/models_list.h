// What `permutation models list` prints: the catalogue, the models that were pulled, and pulls that were broken off.
// Thread-safety: one thread.
#pragma once

#include <string>

namespace pmt::app {

/// A table, and below it each file's sha256.
std::string models_table();
/// {"models": [...]}, one object each. An unfinished pull has "fetched", the bytes that are here.
std::string models_json();

}  // namespace pmt::app
