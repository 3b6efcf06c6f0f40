#include "model/schema/char_set.h"

#include <algorithm>
#include <array>
#include <map>

#include <fmt/format.h>
#include <utf8proc.h>

namespace pmt::model {
namespace {

constexpr std::uint32_t kLast = 0x10FFFF;
constexpr CharSet::Range kSurrogates = {0xD800, 0xDFFF};

struct Category {
  const char* brief;
  const char* full;
};
/// In utf8proc's order.
constexpr Category kCategories[] = {{"Cn", "Unassigned"},
                                    {"Lu", "Uppercase_Letter"},
                                    {"Ll", "Lowercase_Letter"},
                                    {"Lt", "Titlecase_Letter"},
                                    {"Lm", "Modifier_Letter"},
                                    {"Lo", "Other_Letter"},
                                    {"Mn", "Nonspacing_Mark"},
                                    {"Mc", "Spacing_Mark"},
                                    {"Me", "Enclosing_Mark"},
                                    {"Nd", "Decimal_Number"},
                                    {"Nl", "Letter_Number"},
                                    {"No", "Other_Number"},
                                    {"Pc", "Connector_Punctuation"},
                                    {"Pd", "Dash_Punctuation"},
                                    {"Ps", "Open_Punctuation"},
                                    {"Pe", "Close_Punctuation"},
                                    {"Pi", "Initial_Punctuation"},
                                    {"Pf", "Final_Punctuation"},
                                    {"Po", "Other_Punctuation"},
                                    {"Sm", "Math_Symbol"},
                                    {"Sc", "Currency_Symbol"},
                                    {"Sk", "Modifier_Symbol"},
                                    {"So", "Other_Symbol"},
                                    {"Zs", "Space_Separator"},
                                    {"Zl", "Line_Separator"},
                                    {"Zp", "Paragraph_Separator"},
                                    {"Cc", "Control"},
                                    {"Cf", "Format"},
                                    {"Cs", "Surrogate"},
                                    {"Co", "Private_Use"}};
constexpr Category kGroups[] = {{"L", "Letter"}, {"M", "Mark"},      {"N", "Number"}, {"P", "Punctuation"},
                                {"S", "Symbol"}, {"Z", "Separator"}, {"C", "Other"}};

using Table = std::array<std::vector<CharSet::Range>, std::size(kCategories)>;

const Table& categories() {
  static const Table kTable = [] {
    Table table;
    for (std::uint32_t c = 0; c <= kLast; ++c) {
      auto& ranges = table.at(static_cast<std::size_t>(utf8proc_category(static_cast<utf8proc_int32_t>(c))));
      if (!ranges.empty() && ranges.back().second + 1 == c) {
        ranges.back().second = c;
      } else {
        ranges.emplace_back(c, c);
      }
    }
    return table;
  }();
  return kTable;
}

void append_class_character(std::string& out, std::uint32_t c) {
  const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  if (plain) {
    out += static_cast<char>(c);
  } else {
    out += c < 0x10000 ? fmt::format("\\u{:04X}", c) : fmt::format("\\U{:08X}", c);
  }
}

}  // namespace

CharSet::CharSet(std::initializer_list<Range> ranges) : ranges_(ranges) {
  settle();
}

CharSet CharSet::all() {
  return CharSet{{0, kSurrogates.first - 1}, {kSurrogates.second + 1, kLast}};
}

std::optional<CharSet> CharSet::of_category(std::string_view name) {
  if (name == "Any") return all();
  std::string_view group;
  for (const Category& one : kGroups) {
    if (name == one.brief || name == one.full) group = one.brief;
  }
  CharSet out;
  bool known = false;
  for (std::size_t i = 0; i < std::size(kCategories); ++i) {
    const std::string_view brief = kCategories[i].brief;
    const bool in_group = !group.empty() && brief.front() == group.front();
    if (!in_group && name != brief && name != kCategories[i].full) continue;
    known = true;
    const auto& ranges = categories().at(i);
    out.ranges_.insert(out.ranges_.end(), ranges.begin(), ranges.end());
  }
  if (!known) return std::nullopt;
  out.settle();
  return out;
}

void CharSet::settle() {
  std::sort(ranges_.begin(), ranges_.end());
  std::vector<Range> out;
  for (const Range& range : ranges_) {
    if (range.first > range.second) continue;
    if (!out.empty() && range.first <= out.back().second + 1) {
      out.back().second = std::max(out.back().second, range.second);
    } else {
      out.push_back(range);
    }
  }
  ranges_ = std::move(out);
}

CharSet& CharSet::add(const CharSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  settle();
  return *this;
}

CharSet CharSet::complement() const {
  CharSet out;
  std::uint32_t next = 0;
  CharSet with_surrogates = *this;
  with_surrogates.add(CharSet{kSurrogates});
  for (const auto& [from, to] : with_surrogates.ranges_) {
    if (from > next) out.ranges_.emplace_back(next, from - 1);
    next = to + 1;
  }
  if (next <= kLast) out.ranges_.emplace_back(next, kLast);
  return out;
}

CharSet CharSet::both(const CharSet& other) const {
  CharSet out;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const Range common = {std::max(a->first, b->first), std::min(a->second, b->second)};
    if (common.first <= common.second) out.ranges_.push_back(common);
    if (a->second < b->second) {
      ++a;
    } else {
      ++b;
    }
  }
  return out;
}

bool CharSet::contains(std::uint32_t c) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [c](const Range& range) { return range.first <= c && c <= range.second; });
}

std::string gbnf_class(const CharSet& set) {
  std::string out = "[";
  for (const auto& [from, to] : set.ranges()) {
    append_class_character(out, from);
    if (to == from) continue;
    if (to > from + 1) out += '-';
    append_class_character(out, to);
  }
  return out + ']';
}

std::string gbnf_json_class(const CharSet& set) {
  static const CharSet kEscaped = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
  constexpr std::pair<std::uint32_t, char> kBrief[] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                                       {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
  const CharSet plain = set.without(kEscaped);
  const CharSet escaped = set.both(kEscaped);
  if (escaped.empty()) return gbnf_class(plain);
  std::string out = plain.empty() ? "(" : "(" + gbnf_class(plain) + " | ";
  bool first = true;
  const auto add = [&](std::string_view escape) {
    if (!std::exchange(first, false)) out += " | ";
    out += gbnf_literal(escape);
  };
  for (const auto& [from, to] : escaped.ranges()) {
    for (std::uint32_t c = from; c <= to; ++c) {
      const auto* const brief =
          std::find_if(std::begin(kBrief), std::end(kBrief), [c](const auto& one) { return one.first == c; });
      add(brief != std::end(kBrief) ? std::string("\\") + brief->second : fmt::format("\\u{:04x}", c));
    }
  }
  return out + ')';
}

std::string gbnf_literal(std::string_view utf8) {
  std::string out = "\"";
  for (const char c : utf8) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7F) {
      fmt::format_to(std::back_inserter(out), "\\x{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::vector<std::uint32_t> characters_of(std::string_view utf8) {
  std::vector<std::uint32_t> out;
  const auto* at = reinterpret_cast<const utf8proc_uint8_t*>(utf8.data());
  const auto* const end = at + utf8.size();
  while (at < end) {
    utf8proc_int32_t c = 0;
    const utf8proc_ssize_t used = utf8proc_iterate(at, end - at, &c);
    out.push_back(used > 0 ? static_cast<std::uint32_t>(c) : 0xFFFD);
    at += std::max<utf8proc_ssize_t>(used, 1);
  }
  return out;
}

void append_utf8(std::string& out, std::uint32_t c) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto used = utf8proc_encode_char(static_cast<utf8proc_int32_t>(c), bytes.data());
  out.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(used));
}

}  // namespace pmt::model
