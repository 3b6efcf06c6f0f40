#include "rlm/records.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "rlm/text_lines.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kFieldsMin = 2, kLineBytesMax = 4'000, kHeaderBytesMax = 64 << 10;
constexpr int kTableLinesMin = 4, kTableRulesMax = 8;
constexpr std::size_t kKeptBytes = 64 << 10;  // a block of copies

unsigned char lower(unsigned char c) {
  return static_cast<unsigned char>(std::tolower(c));
}

std::string_view bare(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\"'*-");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\"'") - begin + 1);
}

/// A field's name is one to three short words.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 32 && std::isalpha(static_cast<unsigned char>(text[0])) != 0 &&
         std::ranges::count(text, ' ') <= 2 && std::ranges::all_of(text, [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '_' || c == ' ' || c == '-';
         });
}

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return lower(x) == lower(y); });
}

/// One line's fields, not yet a record.
class Fields {
 public:
  const std::vector<NamedValue>& all() const { return all_; }

  bool read(std::string_view line, Records& records) {
    if (line.size() > kLineBytesMax) return false;
    if (line.front() == '{') return json_record(line, records);
    for (const char outer : {'|', ';', ',', ' ', '\t'}) {
      if (line.find(outer) == std::string_view::npos) continue;  // one pair is no record
      for (const char inner : {'=', ':'}) {
        if (outer == ' ' && inner == ':') continue;  // that is prose
        if (line.find(inner) != std::string_view::npos && read_pairs(line, outer, inner)) return true;
      }
    }
    return false;
  }

 private:
  /// Pairs between `outer`, each split at its first `inner`; the whole line must be pairs.
  bool read_pairs(std::string_view line, char outer, char inner) {
    all_.clear();
    bool several = false;
    while (true) {
      const auto end = line.find(outer);
      const std::string_view pair = line.substr(0, end);
      const auto at = pair.find(inner);
      if (at == std::string_view::npos) return false;
      const std::string_view name = bare(pair.substr(0, at));
      if (!is_name(name)) return false;
      all_.push_back({name, bare(pair.substr(at + 1))});
      several = several || !same_name(name, all_.front().name);
      if (end == std::string_view::npos) return several;
      line.remove_prefix(end + 1);
    }
  }

  bool json_record(std::string_view line, Records& records) {
    const auto object = base::parse_json(line, kLineBytesMax);
    if (!object || !object->is_object() || object->size() < kFieldsMin) return false;
    all_.clear();
    keys_.clear();
    for (const auto& [key, value] : object->items()) {
      if (!value.is_primitive()) continue;
      keys_.push_back(key);
      all_.push_back({keys_.back(), records.keep(value.is_string() ? *base::as_text(value) : value.dump())});
    }
    return true;
  }

  std::vector<NamedValue> all_;
  std::deque<std::string> keys_;
};

/// Lines of one table: a header of names, then lines with as many cells.
class Table {
 public:
  enum class Line { kCells, kRule, kOther };

  /// Whether `line` can be a header.
  bool begin(std::string_view line, char separator) {
    names_.clear();
    separator_ = separator;
    if (line.size() > kHeaderBytesMax || std::ranges::count(line, separator) < 2) return false;
    return each_cell(line,
                     [this](std::string_view cell) {
                       names_.push_back(bare(cell));
                       return is_name(names_.back());
                     }) &&
           names_.size() >= 3;
  }

  /// Whether enough lines of the table follow. Looks at a bounded number of lines: each line of a text may
  /// look like a header.
  bool follows(TextLines lines) {
    int rules = 0;
    for (int rows = 0; rows < kTableLinesMin;) {
      if (lines.at_end()) return false;
      const Line line = read(lines.next());
      if (line == Line::kOther || (line == Line::kRule && ++rules > kTableRulesMax)) return false;
      if (line == Line::kCells) ++rows;
    }
    return true;
  }

  Line read(std::string_view line) {
    if (line.find_first_not_of("-|: \t+") == std::string_view::npos &&
        line.find('-') != std::string_view::npos)
      return Line::kRule;
    row_.clear();
    const bool fits = each_cell(line, [this](std::string_view cell) {
      if (row_.size() == names_.size()) return false;
      row_.push_back({names_[row_.size()], bare(cell)});
      return true;
    });
    return fits && row_.size() == names_.size() ? Line::kCells : Line::kOther;
  }
  const std::vector<NamedValue>& row() const { return row_; }

 private:
  /// Those that are not empty, until `each` says no.
  template <class Each>
  bool each_cell(std::string_view line, Each&& each) const {
    while (true) {
      const auto at = line.find(separator_);
      if (const auto cell = line.substr(0, at); !cell.empty() && !each(cell)) return false;
      if (at == std::string_view::npos) return true;
      line.remove_prefix(at + 1);
    }
  }

  char separator_ = ',';
  std::vector<std::string_view> names_;
  std::vector<NamedValue> row_;
};

class Finder {
 public:
  Finder(const std::string& text, Watch& watch) : lines_(text), watch_(watch) {
    watch_.begin("looking for records", text.size());
  }

  base::Result<Records> find() {
    while (!lines_.at_end()) {
      const std::size_t begin = lines_.at();
      const std::string_view line = lines_.next();
      TRY(watch_.step(lines_.at() - begin));
      TRY(take(line));
      if (records_.fields().size() > kFieldsMax) return Records();
    }
    return std::move(records_);
  }

 private:
  base::Status take(std::string_view raw) {
    if (raw.size() > kHeaderBytesMax) return {};  // neither a record nor a header
    std::string_view line = raw;
    while (!line.empty() && line.back() == ' ') line.remove_suffix(1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    if (line.empty() || line.find_first_of("=:{,|;\t") == std::string_view::npos) return {};
    if (fields_.read(line, records_)) {
      records_.add(fields_.all());
      return {};
    }
    for (const char separator : {',', '\t', '|', ';'}) {
      if (table_.begin(raw, separator) && table_.follows(lines_)) return take_table();
    }
    return {};
  }

  base::Status take_table() {
    while (!lines_.at_end()) {
      TextLines next = lines_;
      const Table::Line line = table_.read(next.next());
      if (line == Table::Line::kOther) return {};
      if (line == Table::Line::kCells) records_.add(table_.row());
      TRY(watch_.step(next.at() - lines_.at()));
      lines_ = next;
    }
    return {};
  }

  TextLines lines_;
  Watch& watch_;
  Records records_;
  Fields fields_;
  Table table_;
};

}  // namespace

std::optional<std::string_view> Records::value(std::size_t record, std::uint32_t field) const {
  for (std::size_t i = rows_[record]; i < end_of(record); ++i) {
    if (cells_[i].field == field) return cells_[i].value();
  }
  return std::nullopt;
}

std::optional<std::string_view> Records::value(std::size_t record, const std::string& field) const {
  const auto found = numbers_.find(std::string_view(field));
  return found == numbers_.end() ? std::nullopt : value(record, found->second);
}

std::uint32_t Records::field_of(std::string_view name) {
  lowered_.assign(name);
  std::ranges::transform(lowered_, lowered_.begin(), [](unsigned char c) { return lower(c); });
  const auto found = numbers_.find(std::string_view(lowered_));
  if (found != numbers_.end()) return found->second;
  const auto number = static_cast<std::uint32_t>(names_.size());
  names_.push_back(lowered_);
  numbers_.emplace(lowered_, number);
  last_cells_.push_back(SIZE_MAX);
  return number;
}

void Records::add(const std::vector<NamedValue>& values) {
  const std::size_t begin = cells_.size();
  rows_.push_back(begin);
  for (const auto& [name, value] : values) {
    const std::uint32_t field = field_of(name);
    const Cell cell{.begin = value.data(), .bytes = static_cast<std::uint32_t>(value.size()), .field = field};
    std::size_t& last = last_cells_[field];
    if (last != SIZE_MAX && last >= begin) {
      cells_[last] = cell;
    } else {
      last = cells_.size();
      cells_.push_back(cell);
    }
  }
}

std::string_view Records::keep(std::string_view value) {
  if (kept_.empty() || kept_.back().size() + value.size() > kept_.back().capacity()) {
    kept_.emplace_back().reserve(std::max(kKeptBytes, value.size()));
  }
  std::string& block = kept_.back();  // never grows over what it reserved: what was handed out stays
  block.append(value);
  return std::string_view(block).substr(block.size() - value.size());
}

base::Result<Records> find_records(const std::string& text, Watch& watch) {
  return Finder(text, watch).find();
}

}  // namespace pmt::rlm
