#include "rlm/tables/log_table.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "rlm/tables/cell_values.h"
#include "rlm/text_lines.h"

namespace pmt::rlm {
namespace {

constexpr std::size_t kLogSniffedBytes = 256 << 10, kLogLineBytesMax = 8'000, kFieldsMax = 24, kLinesMin = 5;

struct Field {
  std::string name;
  std::string_view value;
};

bool is_any_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

bool is_address(std::string_view text) {
  return std::ranges::count(text, '.') == 3 &&
         text.find_first_not_of("0123456789.") == std::string_view::npos;
}

bool is_key(std::string_view text) {
  return !text.empty() && text.size() <= 40 && std::isalpha(static_cast<unsigned char>(text[0])) != 0 &&
         std::ranges::all_of(text,
                             [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.'; });
}

/// "12ms" is a number and the name of its column.
bool cut_unit(std::string_view text, Field& field) {
  const auto at = text.find_first_not_of("-0123456789.");
  if (at == 0 || at == std::string_view::npos || !read_number(text.substr(0, at), DecimalSign::kPoint))
    return false;
  const std::string_view unit = text.substr(at);
  if (!is_any_of(unit, {"ms", "s", "us", "KB", "MB", "GB", "B", "%", "C"})) return false;
  field = {unit == "%" ? "percent" : std::string(unit), text.substr(0, at)};
  return true;
}

Field field_of(std::string_view text) {
  if (Field field; cut_unit(text, field)) return field;
  if (is_any_of(text, {"TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL"}))
    return {"level", text};
  if (is_any_of(text, {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})) return {"method", text};
  if (is_address(text)) return {"ip", text};
  if (text.size() > 1 && text[0] == '/') return {"path", text};
  const auto at = text.find_first_of("=:");
  if (at != std::string_view::npos && at + 1 < text.size() && is_key(text.substr(0, at)) &&
      text[at + 1] != '/') {
    std::string_view value = text.substr(at + 1);
    Field unit;
    const bool cut = cut_unit(value, unit);
    return {std::string(text.substr(0, at)), cut ? unit.value : value};
  }
  if (read_number(text, DecimalSign::kPoint)) {
    const bool status = text.size() == 3 && text[0] >= '1' && text[0] <= '5';
    return {status ? "status" : "num", text};
  }
  return {"word", text};
}

/// A line's words; what stands in quotes or brackets is one. `rest`: where each begins.
class LogLine {
 public:
  const std::vector<Field>& fields() const { return fields_; }
  const std::vector<std::size_t>& begins() const { return begins_; }

  bool read(std::string_view line) {
    fields_.clear();
    begins_.clear();
    if (line.empty() || line.size() > kLogLineBytesMax ||
        std::isspace(static_cast<unsigned char>(line[0])) != 0)
      return false;
    std::size_t at = read_time(line);
    while (at < line.size() && fields_.size() < kFieldsMax) {
      at = line.find_first_not_of(' ', at);
      if (at == std::string_view::npos) break;
      const std::size_t end = word_end(line, at);
      std::string_view word = line.substr(at, end - at);
      if (const auto time = times_.empty() ? read_date(inside(word), DayOrder::kDayFirst) : std::nullopt;
          time && word.size() >= 8) {
        add("time", inside(word), at);
        times_ = word;
      } else {
        Field field = field_of(bare(word));
        add(std::move(field.name), field.value, at);
      }
      at = end;
    }
    times_ = {};
    return fields_.size() >= 2;
  }

  /// The names, in order: what lines of one form share.
  std::string form() const {
    std::string out;
    for (const Field& field : fields_) out += field.name + "\n";
    return out;
  }

 private:
  /// A time of two words ("2026-03-01 10:00:00,123") at the beginning.
  std::size_t read_time(std::string_view line) {
    const auto first = line.find(' ');
    if (first == std::string_view::npos || first > 12) return 0;
    const auto second = std::min(line.size(), line.find(' ', first + 1));
    if (second - first < 6 || !read_date(line.substr(0, second), DayOrder::kDayFirst)) return 0;
    add("time", line.substr(0, second), 0);
    times_ = line.substr(0, second);
    return second;
  }

  static std::size_t word_end(std::string_view line, std::size_t at) {
    const char closing = line[at] == '"' ? '"' : line[at] == '[' ? ']' : '\0';
    if (closing != '\0') {
      const auto end = line.find(closing, at + 1);
      if (end != std::string_view::npos) return end + 1;
    }
    return std::min(line.size(), line.find(' ', at));
  }
  static std::string_view inside(std::string_view word) {
    if (word.size() > 1 && (word.front() == '[' || word.front() == '"'))
      return word.substr(1, word.size() - 2);
    return word;
  }
  static std::string_view bare(std::string_view word) {
    word = inside(word);
    while (!word.empty() && (word.back() == ',' || word.back() == ';' || word.back() == ':'))
      word.remove_suffix(1);
    return word;
  }

  void add(std::string name, std::string_view value, std::size_t at) {
    const auto same = std::ranges::count_if(fields_, [&](const Field& f) {
      return f.name.starts_with(name) &&
             f.name.find_first_not_of("0123456789", name.size()) == std::string::npos;
    });
    if (same > 0) name += std::to_string(same + 1);
    fields_.push_back({std::move(name), value});
    begins_.push_back(at);
  }

  std::vector<Field> fields_;
  std::vector<std::size_t> begins_;
  std::string_view times_;
};

class LogTable final : public TableSource {
 public:
  explicit LogTable(std::string_view text) : text_(text) { tables_ = {{.name = "log", .columns = {}}}; }
  std::string_view shape() const override { return "log"; }

  /// Whether lines are alike enough.
  bool sniff() {
    std::map<std::string, std::size_t> forms;
    std::size_t all = 0;
    TextLines lines(text_.substr(0, kLogSniffedBytes));
    while (!lines.at_end()) {
      const std::string_view line = lines.next();
      if (lines.at_end() && text_.size() > kLogSniffedBytes) break;
      if (!line_.read(line)) continue;
      ++all;
      ++forms[line_.form()];
    }
    if (all < kLinesMin) return false;
    const auto most = std::ranges::max_element(forms, {}, [](const auto& f) { return f.second; });
    if (most->second * 10 >= all * 6) {
      form_ = most->first;
      name_columns(form_, kFieldsMax);
    } else {
      name_columns(most->first, common_fields(forms, all));
      tables_.front().columns.push_back("message");
    }
    return is_log();
  }

  base::Status read(Watch& watch, const TakeRow& take) override {
    left_out_ = 0;
    std::vector<RawCell> row;
    TextLines lines(text_);
    while (!lines.at_end()) {
      const std::size_t begin = lines.at();
      const std::string_view line = lines.next();
      TRY(watch.step(lines.at() - begin));
      if (line.empty()) continue;
      if (!line_.read(line) || !fits()) {
        ++left_out_;
        continue;
      }
      row.clear();
      const std::size_t named = tables_.front().columns.size() - (form_.empty() ? 1 : 0);
      for (std::size_t i = 0; i < named; ++i) row.push_back({i, line_.fields()[i].value});
      if (form_.empty() && line_.begins().size() > named)
        row.push_back({named, line.substr(line_.begins()[named])});
      TRY(take(0, row));
    }
    return {};
  }

 private:
  void name_columns(const std::string& form, std::size_t count) {
    auto& columns = tables_.front().columns;
    columns.clear();
    TextLines names(form);
    while (!names.at_end() && columns.size() < count) columns.emplace_back(names.next());
  }

  /// How many fields of the commonest form nine of ten lines begin with.
  static std::size_t common_fields(const std::map<std::string, std::size_t>& forms, std::size_t all) {
    const auto most = std::ranges::max_element(forms, {}, [](const auto& f) { return f.second; });
    std::size_t fields = 0;
    for (std::size_t at = most->first.find('\n'); at != std::string::npos;
         at = most->first.find('\n', at + 1)) {
      const std::string_view prefix = std::string_view(most->first).substr(0, at + 1);
      std::size_t fit = 0;
      for (const auto& [form, n] : forms) fit += form.starts_with(prefix) ? n : 0;
      if (fit * 10 < all * 9) break;
      ++fields;
    }
    return fields;
  }

  /// Prose is words alone.
  bool is_log() const {
    const auto& columns = tables_.front().columns;
    const auto told = std::ranges::count_if(columns, [](const std::string& name) {
      return !name.starts_with("word") && !name.starts_with("num") && name != "message";
    });
    const bool timed = std::ranges::find(columns, "time") != columns.end();
    return (told >= 2 || timed) && columns.size() >= (timed ? 2U : 3U);
  }

  bool fits() const {
    if (!form_.empty()) return line_.form() == form_;
    const auto& columns = tables_.front().columns;
    if (line_.fields().size() + 1 < columns.size()) return false;
    for (std::size_t i = 0; i + 1 < columns.size(); ++i) {
      if (line_.fields()[i].name != columns[i]) return false;
    }
    return true;
  }

  std::string_view text_;
  std::string form_;  // "": the common beginning and a message
  LogLine line_;
};

}  // namespace

std::unique_ptr<TableSource> log_table(std::string_view text) {
  auto table = std::make_unique<LogTable>(text);
  if (!table->sniff()) return nullptr;
  return table;
}

}  // namespace pmt::rlm
