#include "text/html.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "text/plain_words.h"

namespace pmt::text {
namespace {

constexpr std::string_view kSpace = " \t\r\n\f\v";

/// What is between their tags isn't the page's text.
constexpr std::array<std::string_view, 6> kSilent = {"script",   "style",    "head",
                                                     "template", "noscript", "svg"};
constexpr std::array<std::string_view, 22> kParagraphs = {
    "p",      "div",        "section", "article",  "main",    "table",  "ul",     "ol",
    "dl",     "blockquote", "pre",     "aside",    "nav",     "header", "footer", "form",
    "figure", "hr",         "body",    "fieldset", "address", "details"};
constexpr std::array<std::string_view, 6> kLines = {"br", "tr", "dt", "dd", "caption", "summary"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kEntities = {{{"amp", "&"},
                                                                                      {"lt", "<"},
                                                                                      {"gt", ">"},
                                                                                      {"quot", "\""},
                                                                                      {"apos", "'"},
                                                                                      {"nbsp", " "},
                                                                                      {"ndash", "\u2013"},
                                                                                      {"mdash", "\u2014"},
                                                                                      {"hellip", "\u2026"},
                                                                                      {"lsquo", "\u2018"},
                                                                                      {"rsquo", "\u2019"},
                                                                                      {"ldquo", "\u201c"},
                                                                                      {"rdquo", "\u201d"},
                                                                                      {"euro", "\u20ac"},
                                                                                      {"copy", "\u00a9"},
                                                                                      {"deg", "\u00b0"}}};

template <class Names>
bool is_one_of(std::string_view name, const Names& names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string utf8_of(std::uint32_t code) {
  std::string out;
  const auto add = [&out](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xC0U | code >> 6U);
    add(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    add(0xE0U | code >> 12U);
    add(0x80U | (code >> 6U & 0x3FU));
    add(0x80U | (code & 0x3FU));
  } else {
    add(0xF0U | code >> 18U);
    add(0x80U | (code >> 12U & 0x3FU));
    add(0x80U | (code >> 6U & 0x3FU));
    add(0x80U | (code & 0x3FU));
  }
  return out;
}

/// "#8211" or "#x2013"; none: no character.
std::optional<std::string> numbered(std::string_view digits) {
  digits.remove_prefix(1);
  const bool hex = !digits.empty() && (digits[0] == 'x' || digits[0] == 'X');
  if (hex) digits.remove_prefix(1);
  std::uint32_t code = 0;
  for (const char c : digits) {
    const bool digit = c >= '0' && c <= '9';
    const char low = static_cast<char>(c | 0x20);
    if (!digit && !(hex && low >= 'a' && low <= 'f')) return std::nullopt;
    code = code * (hex ? 16 : 10) + static_cast<std::uint32_t>(digit ? c - '0' : low - 'a' + 10);
    if (code > 0x10FFFF) return std::nullopt;
  }
  const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  return code < 32 || surrogate ? std::nullopt : std::optional(utf8_of(code));
}

class Page {
 public:
  explicit Page(std::string_view html) : html_(html) {}

  std::string read() {
    while (at_ < html_.size()) {
      if (html_[at_] == '<' && tag()) continue;
      if (html_[at_] == '&' && entity()) continue;
      put(html_[at_++]);
    }
    while (!out_.empty() && kSpace.find(out_.back()) != std::string_view::npos) out_.pop_back();
    return std::move(out_);
  }

 private:
  void put(char c) {
    if (!preformatted_ && kSpace.find(c) != std::string_view::npos) {
      space_ = !out_.empty() && out_.back() != '\n';
      return;
    }
    if (std::exchange(space_, false)) out_ += ' ';
    out_ += c;
  }
  /// So many lines end here at least.
  void lines(std::size_t count) {
    space_ = false;
    if (out_.empty()) return;
    const std::size_t last = out_.find_last_not_of('\n');
    for (std::size_t ended = out_.size() - 1 - last; ended < count; ++ended) out_ += '\n';
  }

  bool entity() {
    const std::size_t end = html_.find(';', at_);
    if (end == std::string_view::npos || end - at_ > 10 || end - at_ < 2) return false;
    const std::string_view name = html_.substr(at_ + 1, end - at_ - 1);
    std::optional<std::string> text;
    if (name[0] == '#') text = numbered(name);
    for (const auto& [known, value] : kEntities) {
      if (name == known) text = value;
    }
    if (!text) return false;
    at_ = end + 1;
    if (*text == " ") {
      put(' ');
    } else {
      if (std::exchange(space_, false)) out_ += ' ';
      out_ += *text;
    }
    return true;
  }

  /// Goes past `mark`, or to the end.
  void skip_past(std::string_view mark) {
    const std::size_t found = html_.find(mark, at_);
    at_ = found == std::string_view::npos ? html_.size() : found + mark.size();
  }

  /// Where the tag at at_ ends: a ">" may stand in quotes.
  std::size_t tag_end() const {
    char quote = 0;
    for (std::size_t i = at_ + 1; i < html_.size(); ++i) {
      const char c = html_[i];
      if (quote != 0) {
        if (c == quote) quote = 0;
      } else if ((c == '"' || c == '\'') && html_[i - 1] == '=') {
        quote = c;
      } else if (c == '>') {
        return i;
      }
    }
    return std::string_view::npos;
  }

  bool tag() {
    if (html_.substr(at_).starts_with("<!--")) {
      skip_past("-->");
      return true;
    }
    const std::size_t first = at_ + 1;
    if (first >= html_.size()) return false;
    const bool closing = html_[first] == '/';
    std::size_t end = first + (closing ? 1U : 0U);
    const std::size_t begin = end;
    while (end < html_.size() && kPlainByte[static_cast<unsigned char>(html_[end])] != 0) ++end;
    if (end == begin && html_[first] != '!' && html_[first] != '?') return false;  // "a < b"
    const std::size_t over = tag_end();
    if (over == std::string_view::npos) return false;
    const std::string name = lower(html_.substr(begin, end - begin));
    at_ = over + 1;
    act(name, closing);
    return true;
  }

  void act(const std::string& name, bool closing) {
    if (!closing && is_one_of(name, kSilent)) return skip_silent(name);
    if (name.size() == 2 && name[0] == 'h' && name[1] >= '1' && name[1] <= '6') {
      lines(2);
      if (!closing) out_ += std::string(static_cast<std::size_t>(name[1] - '0'), '#') + " ";
    } else if (name == "li") {
      lines(1);
      if (!closing) out_ += "- ";
    } else if (name == "td" || name == "th") {
      put(' ');
    } else if (is_one_of(name, kParagraphs)) {
      lines(2);
      if (name == "pre") preformatted_ = !closing;
    } else if (is_one_of(name, kLines)) {
      lines(1);
    }
  }

  void skip_silent(const std::string& name) {
    for (;;) {
      skip_past("</");
      if (at_ >= html_.size()) return;
      if (lower(html_.substr(at_, name.size())) != name) continue;
      skip_past(">");
      return;
    }
  }

  std::string_view html_;
  std::string out_;
  std::size_t at_ = 0;
  bool space_ = false;  // between the last word and the next
  bool preformatted_ = false;
};

}  // namespace

std::string text_of_html(std::string_view html) {
  return Page(html).read();
}

}  // namespace pmt::text
