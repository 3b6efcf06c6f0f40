#include "api/request_body.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "api/errors.h"
#include "net/content_coding.h"

namespace pmt::api {
namespace {

// NOLINTNEXTLINE(misc-unused-using-decls): clang-tidy 14 overlooks literals
using std::string_view_literals::operator""sv;

constexpr std::size_t kShownBytesMax = 100;
constexpr std::string_view kUtf8Mark = "\xEF\xBB\xBF";
/// Their bodies are bytes, of no type that has a name.
constexpr std::array kBytePaths = {"/v1/knowledge/import"sv};
constexpr std::array kJsonTypes = {"application/json"sv,     "text/json"sv,
                                   "application/x-ndjson"sv, "application/jsonl"sv,
                                   "application/x-jsonl"sv,  "application/octet-stream"sv,
                                   "text/plain"sv,           "*/*"sv,
                                   "binary/octet-stream"sv};
constexpr std::string_view kFormType = "application/x-www-form-urlencoded";

net::HttpResponse refused(int status, std::string message) {
  net::HttpResponse response = error_response(base::invalid(std::move(message)));
  response.status = status;
  return response;
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return out;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

/// A caller's word in an error message.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, kShownBytesMax));
  std::ranges::replace_if(
      out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

/// Of all content-encoding headers, in the order in which they were applied, without "identity".
std::vector<std::string> encodings_of(const net::HttpRequest& request) {
  std::vector<std::string> found;
  for (const auto& [name, value] : request.headers) {
    if (name != "content-encoding") continue;
    for (std::size_t at = 0; at <= value.size();) {
      const std::size_t end = std::min(value.find(',', at), value.size());
      std::string coding = lower(trimmed(std::string_view(value).substr(at, end - at)));
      if (!coding.empty() && coding != "identity") found.push_back(std::move(coding));
      at = end + 1;
    }
  }
  return found;
}

std::optional<net::HttpResponse> undo_encoding(net::HttpRequest& request, std::size_t bytes_max) {
  const std::vector<std::string> encodings = encodings_of(request);
  if (encodings.empty()) return std::nullopt;
  if (encodings.size() > 1 || !net::is_content_coding(encodings[0])) {
    net::HttpResponse response = refused(
        415,
        fmt::format("The body's content-encoding '{}' isn't taken: send it with one of {}, or with none.",
                    shown(fmt::format("{}", fmt::join(encodings, ", "))), net::kContentCodings));
    response.headers.emplace_back("accept-encoding", net::kContentCodings);
    return response;
  }
  auto decoded = net::decode_content(encodings[0], request.body, bytes_max);
  if (!decoded) return error_response(decoded.error());
  request.body = *std::move(decoded);
  return std::nullopt;
}

/// The first characters of JSON are ASCII, so where its zeros are tells the encoding (RFC 4627, 3); null:
/// UTF-8, or nothing that we know.
const char* wide_encoding_of(std::string_view body) {
  struct Sign {
    std::string_view bytes;
    const char* name;
  };
  static constexpr Sign kMarks[] = {{"\xFF\xFE\0\0"sv, "UTF-32 (little-endian)"},
                                    {"\0\0\xFE\xFF"sv, "UTF-32 (big-endian)"},
                                    {"\xFF\xFE"sv, "UTF-16 (little-endian)"},
                                    {"\xFE\xFF"sv, "UTF-16 (big-endian)"}};
  for (const Sign& mark : kMarks) {
    if (body.starts_with(mark.bytes)) return mark.name;
  }
  const auto zeros = [body](std::string_view pattern) {
    if (body.size() < pattern.size()) return false;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
      if ((body[i] == '\0') != (pattern[i] == '0')) return false;
    }
    return true;
  };
  if (zeros("x000")) return kMarks[0].name;
  if (zeros("000x")) return kMarks[1].name;
  if (zeros("x0")) return kMarks[2].name;
  if (zeros("0x")) return kMarks[3].name;
  return nullptr;
}

/// What a body is packed in that no header tells of; null: nothing that we know.
const char* unsaid_encoding_of(std::string_view body) {
  if (body.starts_with("\x1F\x8B")) return "gzip";
  return body.starts_with("\x28\xB5\x2F\xFD") ? "zstd" : nullptr;
}

/// As what our routes read: an object or a list, nothing shorter.
bool looks_like_json(std::string_view body) {
  const std::size_t first = body.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos || body[first] == '{' || body[first] == '[';
}

bool is_json_type(std::string_view type) {
  return type.empty() || type.ends_with("+json") || std::ranges::find(kJsonTypes, type) != kJsonTypes.end();
}

/// The parser would only say that the first character is wrong.
std::optional<net::HttpResponse> check_type(const net::HttpRequest& request) {
  const std::string_view header = request.header("content-type");
  const std::string type = lower(trimmed(header.substr(0, header.find(';'))));
  const std::string_view body = request.body;
  if (is_json_type(type)) return std::nullopt;
  const bool other = type == kFormType
                         ? body.substr(0, body.find_first_of("{[\"\r\n ")).find('=') != body.npos
                         : !looks_like_json(body);
  if (!other) return std::nullopt;
  return refused(
      415, fmt::format("The body is no JSON, and its content-type is '{}': send JSON, with content-type "
                       "application/json.",
                       shown(type)));
}

}  // namespace

std::optional<net::HttpResponse> prepare_body(net::HttpRequest& request, std::size_t bytes_max) {
  if (request.body.empty()) return std::nullopt;
  if (auto refusal = undo_encoding(request, bytes_max)) return refusal;
  if (std::ranges::find(kBytePaths, request.path) != kBytePaths.end()) return std::nullopt;
  if (request.body.starts_with(kUtf8Mark)) request.body.erase(0, kUtf8Mark.size());
  if (const char* const wide = wide_encoding_of(request.body)) {
    return refused(400, fmt::format("The body is text in {}: JSON is sent in UTF-8.", wide));
  }
  if (const char* const packed = unsaid_encoding_of(request.body)) {
    return refused(400,
                   fmt::format("The body is {0}, but no header says so: add content-encoding: {0}.", packed));
  }
  return check_type(request);
}

}  // namespace pmt::api
