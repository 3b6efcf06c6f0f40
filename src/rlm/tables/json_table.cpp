#include "rlm/tables/json_table.h"

#include <deque>
#include <unordered_map>

#include "base/json.h"
#include "rlm/tables/cell_values.h"
#include "rlm/text_lines.h"

namespace pmt::rlm {
namespace {

using nlohmann::json;

constexpr std::size_t kObjectBytesMax = 1 << 20, kJsonSniffedBytes = 256 << 10, kListItemsMax = 50,
                      kDepthMax = 8;
constexpr int kObjectsMin = 4;

/// One object as a row: columns in the order in which they first came.
class ObjectRow {
 public:
  /// Whether it is an object with members that fit.
  bool read(std::string_view text, RawTable& table) {
    const auto object = base::parse_json(text, base::JsonLimits{.bytes_max = kObjectBytesMax});
    if (!object || !object->is_object() || object->empty()) return false;
    row_.clear();
    kept_.clear();
    add(*object, "", table, 0);
    return !row_.empty();
  }
  std::span<const RawCell> row() const { return row_; }
  void begin_table() { columns_.clear(); }

 private:
  void add(const json& object, const std::string& prefix, RawTable& table, std::size_t depth) {
    for (const auto& [key, value] : object.items()) {
      if (value.is_object()) {
        if (depth < kDepthMax) add(value, prefix + key + "_", table, depth + 1);
        continue;
      }
      const std::size_t column = column_of(prefix + key, table);
      if (column < kTableColumnsMax && !value.is_null())
        row_.push_back({column, kept_.emplace_back(text_of(value))});
    }
  }

  static std::string text_of(const json& value) {
    if (const auto text = base::as_text(value)) return *text;
    if (!value.is_array()) return value.dump();
    std::string out;
    std::size_t items = 0;
    for (const json& item : value) {
      if (++items > kListItemsMax) break;
      const auto text = base::as_text(item);
      const std::string one = text ? *text : item.is_primitive() ? item.dump() : std::string("...");
      out += (out.empty() ? "" : ", ") + one;
    }
    return out;
  }

  std::size_t column_of(const std::string& name, RawTable& table) {
    if (columns_.empty()) {
      for (std::size_t i = 0; i < table.columns.size(); ++i) columns_.emplace(table.columns[i], i);
    }
    if (const auto found = columns_.find(name); found != columns_.end()) return found->second;
    if (table.columns.size() >= kTableColumnsMax) return kTableColumnsMax;
    columns_.emplace(name, table.columns.size());
    table.columns.push_back(name);
    return table.columns.size() - 1;
  }

  std::vector<RawCell> row_;
  std::deque<std::string> kept_;
  std::unordered_map<std::string, std::size_t> columns_;
};

class JsonLines final : public TableSource {
 public:
  explicit JsonLines(std::string_view text) : text_(text) { tables_ = {{.name = "records", .columns = {}}}; }
  std::string_view shape() const override { return "JSON lines"; }

  base::Status read(Watch& watch, const TakeRow& take) override {
    left_out_ = 0;
    TextLines lines(text_);
    while (!lines.at_end()) {
      const std::size_t begin = lines.at();
      const std::string_view line = trimmed_cell(lines.next());
      TRY(watch.step(lines.at() - begin));
      if (line.empty()) continue;
      if (!line.starts_with('{') || !object_.read(line, tables_.front())) {
        ++left_out_;
        continue;
      }
      TRY(take(0, object_.row()));
    }
    return {};
  }

 private:
  std::string_view text_;
  ObjectRow object_;
};

/// A walk over a document's punctuation; what stands inside objects is left to the parser.
class Document {
 public:
  explicit Document(std::string_view text) : text_(text) {}
  std::size_t at() const { return at_; }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n,").find(text_[at_]) != std::string_view::npos)
      ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void step() { ++at_; }

  /// The whole value that begins here, with the brackets that it opens closed; it may be no JSON.
  std::string_view value(std::size_t bytes_max) {
    const std::size_t begin = at_;
    int depth = 0;
    bool quoted = false;
    for (; at_ < text_.size() && at_ - begin < bytes_max; ++at_) {
      const char c = text_[at_];
      if (quoted) {
        if (c == '\\') ++at_;
        if (c == '"') quoted = false;
        if (!quoted && depth == 0) return text_.substr(begin, ++at_ - begin);
        continue;
      }
      if (c == '"') quoted = true;
      if (c == '{' || c == '[') ++depth;
      if (depth == 0 && !quoted && std::string_view(",}] \t\r\n:").find(c) != std::string_view::npos) break;
      if ((c == '}' || c == ']') && --depth == 0) return text_.substr(begin, ++at_ - begin);
    }
    at_ = std::min(at_, text_.size());
    return text_.substr(begin, at_ - begin);
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

class JsonDocument final : public TableSource {
 public:
  explicit JsonDocument(std::string_view text) : text_(text) {}
  std::string_view shape() const override { return "JSON"; }

  base::Status read(Watch& watch, const TakeRow& take) override {
    left_out_ = 0;
    next_table_ = 0;
    Document document(text_);
    document.skip_space();
    if (document.peek() == '[') return read_list(document, "records", watch, take);
    document.step();
    for (document.skip_space(); document.peek() == '"'; document.skip_space()) {
      const std::string name(document.value(kObjectBytesMax));
      document.skip_space();
      if (document.peek() != ':') break;
      document.step();
      document.skip_space();
      const std::size_t begin = document.at();
      if (document.peek() == '[') {
        TRY(read_list(document, name.substr(1, name.size() - 2), watch, take));
      } else {
        document.value(text_.size());
        TRY(watch.step(document.at() - begin));
      }
    }
    return {};
  }

 private:
  base::Status read_list(Document& document, const std::string& name, Watch& watch, const TakeRow& take) {
    document.step();
    object_.begin_table();
    bool began = false;
    for (document.skip_space(); document.peek() != ']' && document.peek() != '\0'; document.skip_space()) {
      const std::size_t begin = document.at();
      const std::string_view value = document.value(kObjectBytesMax);
      TRY(watch.step(document.at() - begin));
      if (document.at() == begin) return {};  // no JSON from here on
      if (!value.starts_with('{')) {
        if (began) ++left_out_;
        continue;
      }
      if (!began) {
        began = true;
        if (next_table_ == tables_.size()) tables_.push_back({.name = name, .columns = {}});
        ++next_table_;
      }
      if (!object_.read(value, tables_[next_table_ - 1])) {
        ++left_out_;
        continue;
      }
      TRY(take(next_table_ - 1, object_.row()));
    }
    document.step();
    return {};
  }

  std::string_view text_;
  ObjectRow object_;
  std::size_t next_table_ = 0;
};

bool begins_with_lines(std::string_view head) {
  TextLines lines(head);
  RawTable table;
  ObjectRow object;
  int objects = 0, others = 0;
  while (!lines.at_end()) {
    const std::string_view line = trimmed_cell(lines.next());
    if (line.empty() || (lines.at_end() && others + objects > 0)) continue;  // the last may be cut off
    const bool is_object = line.starts_with('{') && object.read(line, table);
    ++(is_object ? objects : others);
  }
  return objects + 1 >= kObjectsMin && objects * 10 >= 6 * (objects + others);
}

}  // namespace

std::unique_ptr<TableSource> json_table(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const auto at = text.find_first_not_of(" \t\r\n");
  if (at == std::string_view::npos || (text[at] != '{' && text[at] != '[')) return nullptr;
  text.remove_prefix(at);
  if (text[0] == '{' && begins_with_lines(text.substr(0, kJsonSniffedBytes)))
    return std::make_unique<JsonLines>(text);
  const auto inside = text.find_first_not_of(" \t\r\n", 1);
  if (inside == std::string_view::npos || text[inside] != (text[0] == '[' ? '{' : '"')) return nullptr;
  return std::make_unique<JsonDocument>(text);
}

}  // namespace pmt::rlm
