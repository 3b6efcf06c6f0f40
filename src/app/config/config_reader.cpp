#include "app/config/config_reader.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pmt::app {

namespace {

/// Levenshtein's distance, one row at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "text";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

}  // namespace

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

TableReader::TableReader(const toml::table& table, std::string name, std::string file)
    : table_(table), name_(std::move(name)), file_(std::move(file)) {}

const toml::node* TableReader::find(std::string_view key) {
  known_.push_back(key);
  return table_.get(key);
}

void TableReader::wrong(const toml::node& node, std::string_view key, const std::string& wanted) {
  if (error_) return;
  error_ = base::invalid(fmt::format("{}:{}: {}{}{} must be {}, not {}", file_, node.source().begin.line,
                                     name_, name_.empty() ? "" : " ", key, wanted, type_name(node)),
                         std::string(key));
}

std::optional<std::int64_t> TableReader::read_integer(std::string_view key, IntegerRange range) {
  const toml::node* node = find(key);
  if (node == nullptr) return {};
  const auto value = node->value_exact<std::int64_t>();
  const bool bounded = range.max != std::numeric_limits<std::int64_t>::max();
  const std::string wanted = bounded ? fmt::format("an integer from {} to {}", range.min, range.max)
                                     : fmt::format("an integer of at least {}", range.min);
  if (!value) {
    wrong(*node, key, wanted);
    return {};
  }
  if (*value < range.min || *value > range.max) {
    if (!error_) {
      error_ = base::invalid(fmt::format("{}:{}: {}{}{} is {}, must be {}", file_, node->source().begin.line,
                                         name_, name_.empty() ? "" : " ", key, *value, wanted),
                             std::string(key));
    }
    return {};
  }
  return value;
}

void TableReader::number(std::string_view key, double& out, NumberRange range) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (!value || !(*value >= range.min) || *value > range.max) {
    const bool open = range.max == NumberRange{}.max;
    return wrong(*node, key,
                 open ? fmt::format("a number of at least {}", range.min)
                      : fmt::format("a number between {} and {}", range.min, range.max));
  }
  out = *value;
}

void TableReader::number(std::string_view key, std::optional<double>& out, NumberRange range) {
  double value = 0;
  number(key, value, range);
  if (table_.contains(key) && !error_) out = value;
}

void TableReader::text(std::string_view key, std::string& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto value = node->value_exact<std::string>();
  if (!value) return wrong(*node, key, "text in quotes");
  out = *value;
}

void TableReader::boolean(std::string_view key, bool& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto value = node->value_exact<bool>();
  if (!value) return wrong(*node, key, "true or false");
  out = *value;
}

void TableReader::list(std::string_view key) {
  const toml::node* node = find(key);
  if (node != nullptr && !node->is_array()) wrong(*node, key, "a list");
}

void TableReader::texts(std::string_view key, std::vector<std::string>& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  std::vector<std::string> found;
  if (const toml::array* items = node->as_array()) {
    for (const toml::node& item : *items) {
      const auto text = item.value<std::string>();
      if (!text) return wrong(item, key, "a list of texts");
      found.push_back(*text);
    }
    out = std::move(found);
  } else {
    wrong(*node, key, "a list of texts");
  }
}

const toml::table* TableReader::table(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return nullptr;
  if (!node->is_table()) wrong(*node, key, fmt::format("a table, written [{}]", key));
  return node->as_table();
}

std::vector<const toml::table*> TableReader::tables(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return {};
  std::vector<const toml::table*> found;
  if (node->is_array_of_tables()) {
    for (const toml::node& element : *node->as_array()) found.push_back(element.as_table());
  } else {
    wrong(*node, key, fmt::format("a list of tables, each written [[{}]]", key));
  }
  return found;
}

base::Status TableReader::finish() const {
  if (error_) return *error_;
  for (const auto& [key, node] : table_) {
    if (std::ranges::find(known_, key.str()) != known_.end()) continue;
    const std::string_view meant = nearest(key.str(), known_);
    const std::string hint = meant.empty() ? fmt::format("known: {}", fmt::join(known_, ", "))
                                           : fmt::format("did you mean \"{}\"?", meant);
    return base::invalid(fmt::format("{}:{}: unknown key \"{}\"{}{}; {}", file_, key.source().begin.line,
                                     key.str(), name_.empty() ? "" : " in ", name_, hint),
                         std::string(key.str()));
  }
  return {};
}

}  // namespace pmt::app
