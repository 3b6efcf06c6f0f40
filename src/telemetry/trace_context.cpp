#include "telemetry/trace_context.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/hex.h"

namespace pmt::telemetry {
namespace {

bool is_lower_hex(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return base::hex_digit(c) >= 0 && !(c >= 'A' && c <= 'F'); });
}

bool is_id(std::string_view text) {
  return is_lower_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

}  // namespace

std::optional<TraceContext> parse_traceparent(std::string_view header) {
  if (header.size() < 55 || header[2] != '-' || header[35] != '-' || header[52] != '-') return std::nullopt;
  const std::string_view version = header.substr(0, 2), flags = header.substr(53, 2);
  // A later version may append fields; version 0 may not, and 255 is none.
  if (!is_lower_hex(version) || version == "ff" || !is_lower_hex(flags)) return std::nullopt;
  if (version == "00" ? header.size() != 55 : header.size() > 55 && header[55] != '-') return std::nullopt;
  TraceContext context{.trace_id = std::string(header.substr(3, 32)),
                       .span_id = std::string(header.substr(36, 16))};
  if (!is_id(context.trace_id) || !is_id(context.span_id)) return std::nullopt;
  context.sampled = (base::hex_digit(flags[1]) & 1) != 0;
  return context;
}

std::string traceparent(const TraceContext& context, std::string_view span_id) {
  return fmt::format("00-{}-{}-{}", context.trace_id, span_id, context.sampled ? "01" : "00");
}

std::string new_id(const std::function<std::uint64_t()>& random, int digits) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string id;
  std::uint64_t bits = 0;
  for (int i = 0; i < digits; ++i, bits >>= 4) {
    if (i % 16 == 0) bits = random() | 1;
    id += kHex[bits & 15];
  }
  return id;
}

}  // namespace pmt::telemetry
