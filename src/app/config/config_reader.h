// Reads one TOML table key by key, keeps the first mistake and, at the end, finds the keys that nobody asked
// for. Thread-safety: one thread.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <toml++/toml.h>

#include "base/result.h"

namespace pmt::app {

struct IntegerRange {
  std::int64_t min = 0;
  std::int64_t max = std::numeric_limits<std::int64_t>::max();
};

struct NumberRange {
  double min = 0;
  double max = std::numeric_limits<double>::max();
};

class TableReader {
 public:
  /// `name`: the table as the file writes it, e.g. "[server]"; "" for the root.
  TableReader(const toml::table& table, std::string name, std::string file);

  template <class T>
  void integer(std::string_view key, T& out, IntegerRange range) {
    if (const auto value = read_integer(key, range)) out = static_cast<T>(*value);
  }
  void number(std::string_view key, double& out, NumberRange range = {});  // an integer is taken too
  /// Unset where the key isn't there.
  void number(std::string_view key, std::optional<double>& out, NumberRange range = {});
  void text(std::string_view key, std::string& out);
  void boolean(std::string_view key, bool& out);
  template <class T>
  void one_of(std::string_view key, T& out, const std::vector<std::pair<std::string_view, T>>& choices) {
    const toml::node* const node = find(key);
    if (node == nullptr) return;
    std::string wanted = "one of";
    for (const auto& [name, value] : choices) {
      if (node->value<std::string_view>() == name) {
        out = value;
        return;
      }
      wanted += (wanted == "one of" ? " \"" : ", \"") + std::string(name) + '"';
    }
    wrong(*node, key, wanted);
  }
  /// Known, and a list if it is there; the caller reads it.
  void list(std::string_view key);
  void texts(std::string_view key, std::vector<std::string>& out);
  /// A key that the caller reads itself.
  void known(std::string_view key) { find(key); }
  /// Null when absent or of another type (which is a mistake).
  const toml::table* table(std::string_view key);
  /// The tables of `[[key]]`; empty when absent or of another type (which is a mistake).
  std::vector<const toml::table*> tables(std::string_view key);

  /// The first mistake; else the first unknown key.
  base::Status finish() const;

 private:
  const toml::node* find(std::string_view key);
  std::optional<std::int64_t> read_integer(std::string_view key, IntegerRange range);
  void wrong(const toml::node& node, std::string_view key, const std::string& wanted);

  const toml::table& table_;
  std::string name_, file_;
  std::vector<std::string_view> known_;
  std::optional<base::Error> error_;
};

/// The candidate that `word` most likely meant, "" when none is near.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates);

}  // namespace pmt::app
