#include "rlm/final_call.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <optional>
#include <set>

#include "base/trimmed.h"

namespace pmt::rlm {
namespace {

bool is_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == ':' || c == '.' ||
         c == '|';
}

// --- elements

/// The name of a tag that begins at `at`, "" for none: "<name ...>". `closing`: "</name>".
std::string_view tag_name(std::string_view text, std::size_t at, bool closing) {
  const std::string_view opening = closing ? "</" : "<";
  if (text.substr(at, opening.size()) != opening) return "";
  std::size_t end = at + opening.size();
  const std::size_t begin = end;
  while (end < text.size() && is_name(text[end])) ++end;
  const bool named = end > begin && std::isdigit(static_cast<unsigned char>(text[begin])) == 0;
  const std::size_t close = text.find_first_of("<>", end);
  const bool whole = close != std::string_view::npos && text[close] == '>';
  return named && whole ? text.substr(begin, end - begin) : "";
}

/// Where the element whose tag begins at `at` ends; npos where its end isn't there.
std::size_t element_end(std::string_view text, std::size_t at, std::string_view name) {
  std::size_t deep = 0;
  for (std::size_t i = at; i != std::string_view::npos; i = text.find('<', i + 1)) {
    if (tag_name(text, i, false) == name) ++deep;
    if (tag_name(text, i, true) != name) continue;
    if (--deep == 0) return text.find('>', i) + 1;
  }
  return std::string_view::npos;
}

/// Tags that open a call of a tool, in the notations of the models that write them.
bool opens_call(std::string_view name) {
  static constexpr std::array kCalls = {
      std::string_view("function_calls"), std::string_view("function_call"), std::string_view("tool_calls"),
      std::string_view("tool_call"),      std::string_view("tool_use"),      std::string_view("tool_code"),
      std::string_view("invoke"),         std::string_view("parameter"),     std::string_view("function"),
      std::string_view("execute"),        std::string_view("code"),          std::string_view("python"),
      std::string_view("repl"),           std::string_view("action"),        std::string_view("python_tag")};
  if (const auto colon = name.rfind(':'); colon != std::string_view::npos) name.remove_prefix(colon + 1);
  std::string bare(name);
  std::erase(bare, '|');
  return std::ranges::find(kCalls, bare) != kCalls.end();
}

/// Where the element ends that begins at `at`; `at` itself where none does. A call without its end (it was cut, or
/// the model forgot it) goes to the end of the text, any other such tag is no element: `unclosed` remembers its name,
/// so that many of them don't take many looks.
std::size_t skip_element(std::string_view text, std::size_t at, std::set<std::string_view>& unclosed) {
  const std::string_view name = tag_name(text, at, false);
  if (name.empty() || unclosed.contains(name)) return at;
  const std::size_t end = element_end(text, at, name);
  if (end != std::string_view::npos) return end;
  unclosed.insert(name);
  return opens_call(name) ? text.size() : at;
}

// --- strings and brackets

/// A quotation mark opens a string only where an expression may begin: elsewhere it is an apostrophe, or prose.
bool may_open_string(std::string_view text, std::size_t begin, std::size_t at) {
  std::size_t before = at;
  while (before > begin && text[before - 1] == ' ') --before;
  if (before == begin) return true;
  const char c = text[before - 1];
  if (std::string_view("([{,=:+").find(c) != std::string_view::npos) return true;
  return text[at] == '"' && before < at;  // a word in quotes
}

/// Past the string that begins at `at`; npos if it has no end. A string of one mark ends with its line.
std::size_t string_end(std::string_view text, std::size_t at) {
  const std::string_view thrice = text.substr(at, 3);
  const bool is_long = thrice == "\"\"\"" || thrice == "'''";
  const std::string_view mark = is_long ? thrice : text.substr(at, 1);
  for (std::size_t i = at + mark.size(); i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text.substr(i, mark.size()) == mark) {
      return i + mark.size();
    } else if (text[i] == '\n' && !is_long) {
      break;
    }
  }
  return std::string_view::npos;
}

enum class Strings { kKept, kIgnored };

/// Of the bracket that closes the one before `begin`; npos for none.
std::size_t closing_bracket(std::string_view text, std::size_t begin, Strings strings) {
  int deep = 1;
  for (std::size_t i = begin; i < text.size(); ++i) {
    const char c = text[i];
    if (strings == Strings::kKept && (c == '"' || c == '\'') && may_open_string(text, begin, i)) {
      const std::size_t end = string_end(text, i);
      if (end != std::string_view::npos) i = end - 1;
    } else if (c == '(') {
      ++deep;
    } else if (c == ')' && --deep == 0) {
      return i;
    }
  }
  return std::string_view::npos;
}

using base::trimmed;

char unescaped(char c) {
  return c == 'n' ? '\n' : c == 't' ? '\t' : c;
}

/// What a Python literal means, where the text is one.
std::optional<std::string> literal(std::string_view text) {
  if (text.size() < 2 || (text[0] != '"' && text[0] != '\'') || string_end(text, 0) != text.size())
    return std::nullopt;
  const bool is_long = text.size() >= 6 && text[1] == text[0] && text[2] == text[0];
  const std::size_t marks = is_long ? 3 : 1;
  const std::string_view inside = text.substr(marks, text.size() - 2 * marks);
  std::string out;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    const bool escapes = inside[i] == '\\' && i + 1 < inside.size() &&
                         std::string_view("\\'\"nt").find(inside[i + 1]) != std::string_view::npos;
    out += escapes ? unescaped(inside[++i]) : inside[i];
  }
  return out;
}

/// In the marks that it begins and ends with, though it is no literal: 'It's so'.
std::string_view without_marks(std::string_view text) {
  const bool marked = text.size() >= 2 && (text[0] == '"' || text[0] == '\'') && text.back() == text[0];
  if (!marked) return text;
  const std::string_view inside = text.substr(1, text.size() - 2);
  const std::size_t mark = inside.find(text[0]);
  const bool apostrophes = text[0] == '\'' && mark != std::string_view::npos && mark > 0 &&
                           std::isalnum(static_cast<unsigned char>(inside[mark - 1])) != 0 &&
                           mark + 1 < inside.size() &&
                           std::isalnum(static_cast<unsigned char>(inside[mark + 1])) != 0;
  return apostrophes ? inside : text;
}

std::string argument_of(std::string_view text, std::size_t begin) {
  std::size_t end = closing_bracket(text, begin, Strings::kKept);
  if (end == std::string_view::npos) end = closing_bracket(text, begin, Strings::kIgnored);
  if (end == std::string_view::npos) end = text.size();  // cut short by the length limit
  const std::string_view argument = text.substr(begin, end - begin);
  if (auto meant = literal(trimmed(argument))) return *std::move(meant);
  const std::string_view bare = without_marks(trimmed(argument));
  return std::string(bare.size() < trimmed(argument).size() ? bare : argument);
}

}  // namespace

FinalCall final_call(const std::string& text) {
  const std::string outside = without_blocks(text);
  std::set<std::string_view> unclosed;
  bool begins_line = true;
  for (std::size_t at = 0; at < outside.size(); ++at) {
    const char c = outside[at];
    if (const std::size_t end = c == '<' ? skip_element(outside, at, unclosed) : at; end > at) {
      at = end - 1;
      continue;
    }
    for (const std::string_view name : {"FINAL_VAR", "FINAL"}) {
      if (!begins_line || outside.compare(at, name.size(), name) != 0 || outside[at + name.size()] != '(')
        continue;
      return {.name = std::string(name), .argument = argument_of(outside, at + name.size() + 1)};
    }
    begins_line = c == '\n' || (begins_line && (c == ' ' || c == '\t'));
  }
  return {};
}

bool calls_in_xml(const std::string& text) {
  const std::string outside = without_blocks(text);
  for (std::size_t at = outside.find('<'); at != std::string::npos; at = outside.find('<', at + 1)) {
    if (opens_call(tag_name(outside, at, false))) return true;
  }
  return false;
}

}  // namespace pmt::rlm
