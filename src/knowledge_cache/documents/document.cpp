#include "knowledge_cache/documents/document.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "text/html.h"
#include "text/plain_words.h"

namespace pmt::knowledge_cache {
namespace {

struct Ending {
  std::string_view ending, media_type;
};
constexpr std::array<Ending, 8> kEndings = {{{".txt", "text/plain"},
                                             {".text", "text/plain"},
                                             {".md", "text/markdown"},
                                             {".markdown", "text/markdown"},
                                             {".html", "text/html"},
                                             {".htm", "text/html"},
                                             {".csv", "text/csv"},
                                             {".pdf", "application/pdf"}}};

base::Status check_name(const std::string& name, const DocumentLimits& limits) {
  const bool plain = std::none_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == '/' || c == 0x7F;
  });
  if (!name.empty() && name.size() <= limits.name_bytes_max && plain && name != "." && name != "..")
    return {};
  return base::invalid(fmt::format("a document's name has 1 to {} bytes, no '/' and no control character",
                                   limits.name_bytes_max),
                       "name");
}

/// "text/html; charset=utf-8" is text/html.
std::string plain_type(std::string_view media_type) {
  std::string type = text::lower(media_type.substr(0, media_type.find(';')));
  type.erase(type.find_last_not_of(' ') + 1);
  return type;
}

}  // namespace

std::string_view media_type_of(std::string_view file_name) {
  const std::string name = text::lower(file_name);
  for (const auto& [ending, type] : kEndings) {
    if (name.size() > ending.size() && name.ends_with(ending)) return type;
  }
  return "";
}

base::Result<Document> document_of(std::string name, std::string_view media_type, std::string content,
                                   const DocumentLimits& limits) {
  TRY(check_name(name, limits));
  Document out{.name = std::move(name), .media_type = plain_type(media_type), .text = {}, .source = {}};
  if (out.media_type.empty()) out.media_type = media_type_of(out.name);
  if (out.media_type.empty()) out.media_type = "text/plain";
  if (out.media_type == "application/pdf") {
    return base::invalid(
        "a PDF can't be read here: make text of it with pdftotext (Debian's poppler-utils), as `permutation "
        "learn` does",
        "media_type");
  }
  constexpr std::array<std::string_view, 4> kRead = {"text/plain", "text/markdown", "text/html", "text/csv"};
  if (std::find(kRead.begin(), kRead.end(), out.media_type) == kRead.end()) {
    return base::invalid(
        fmt::format("'{}' can't be read: text/plain, text/markdown, text/html and text/csv can",
                    out.media_type.substr(0, 64)),
        "media_type");
  }
  if (content.size() > limits.text_bytes_max) {
    return base::Error{
        base::Code::kTooLarge,
        fmt::format("a document's content has at most {} bytes, and this has {}: learn it in parts",
                    limits.text_bytes_max, content.size()),
        "content"};
  }
  if (content.find('\0') != std::string::npos)
    return base::invalid("its content has a NUL in it, so it is no text", "content");
  if (const std::size_t good = base::utf8_bytes(content); good != content.size())
    return base::invalid(fmt::format("its content is no text in UTF-8 (byte {})", good + 1), "content");
  out.text = out.media_type == "text/html" ? text::text_of_html(content) : std::move(content);
  if (out.text.find_first_not_of(" \t\r\n\f\v") == std::string::npos)
    return base::invalid("there is nothing to read in its content", "content");
  return out;
}

}  // namespace pmt::knowledge_cache
