#include "model/schema/string_format.h"

#include <fmt/format.h>

namespace pmt::model {
namespace {

constexpr char kTime[] = R"(([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d))";
constexpr char kByte[] = R"((25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))";
constexpr char kLabel[] = R"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)";
constexpr char kUri[] =
    R"((\/\/([A-Za-z0-9._~!$&'()*+,;=-]+@)?[A-Za-z0-9.-]+(:\d{1,5})?(\/[PATH]*)?|\/?[A-Za-z0-9._~][PATH]*)(\?[PATH?]*)?(#[PATH?]*)?)";

/// Months of 31 and 30 days, and February with its leap years.
std::string date() {
  return R"(([1-9]\d{3}-((0[13578]|1[02])-(0[1-9]|[12]\d|3[01])|(0[469]|11)-(0[1-9]|[12]\d|30)|02-(0[1-9]|1\d|2[0-8])))"
         R"(|([1-9]\d(0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29))";
}

std::string ipv4() {
  return fmt::format(R"({0}(\.{0}){{3}})", kByte);
}

/// Groups before and after ::, at most seven together, or eight without it.
std::string ipv6() {
  std::string out = "(([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}";
  for (int before = 0; before <= 6; ++before) {
    const std::string head =
        before == 0 ? "" : fmt::format("[0-9a-fA-F]{{1,4}}(:[0-9a-fA-F]{{1,4}}){{{}}}", before - 1);
    out += fmt::format("|{}::([0-9a-fA-F]{{1,4}}(:[0-9a-fA-F]{{1,4}}){{0,{}}})?", head, 6 - before);
  }
  return out + ")";
}

std::string host_name() {
  return fmt::format(R"({0}(\.{0}){{0,3}})", kLabel);
}

std::string email() {
  return fmt::format(
      R"([A-Za-z0-9_+-]{{1,32}}(\.[A-Za-z0-9_+-]{{1,15}}){{0,2}}@{0}(\.{0}){{0,2}}\.[A-Za-z]{{2,10}})",
      R"([A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?)");
}

/// The path's characters put in where PATH stands.
std::string uri_rest() {
  constexpr std::string_view kMark = "PATH";
  std::string out = kUri;
  for (std::size_t at = 0; (at = out.find(kMark, at)) != std::string::npos;)
    out.replace(at, kMark.size(), R"(A-Za-z0-9-._~!$&'()*+,;=:@\/)");
  return out;
}

std::string duration() {
  constexpr char kTimePart[] = R"(T(\d{1,4}H(\d{1,4}M(\d{1,4}S)?)?|\d{1,4}M(\d{1,4}S)?|\d{1,4}S))";
  return fmt::format(
      R"(P(\d{{1,4}}W|\d{{1,4}}Y(\d{{1,4}}M(\d{{1,4}}D)?)?({0})?|\d{{1,4}}M(\d{{1,4}}D)?({0})?|\d{{1,4}}D({0})?|{0}))",
      kTimePart);
}

}  // namespace

std::optional<std::string> pattern_of_format(std::string_view format) {
  if (format == "date") return date();
  if (format == "time") return std::string(kTime);
  if (format == "date-time") return date() + "T" + kTime;
  if (format == "duration") return duration();
  if (format == "email" || format == "idn-email") return email();
  if (format == "hostname" || format == "idn-hostname") return host_name();
  if (format == "ipv4") return ipv4();
  if (format == "ipv6") return ipv6();
  const bool versioned =
      format.size() == 5 && format.starts_with("uuid") && format[4] >= '1' && format[4] <= '5';
  if (format == "uuid" || versioned) {
    const std::string version = versioned ? std::string(1, format[4]) : "[0-9a-f]";
    return fmt::format("[0-9a-f]{{8}}-[0-9a-f]{{4}}-{}[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}",
                       version);
  }
  if (format == "uri" || format == "iri") return R"([A-Za-z][A-Za-z0-9+.-]{0,15}:)" + uri_rest();
  if (format == "uri-reference" || format == "iri-reference")
    return R"(([A-Za-z][A-Za-z0-9+.-]{0,15}:)?)" + uri_rest();
  if (format == "json-pointer") return R"((\/([A-Za-z0-9._-]|~[01])*)*)";
  return std::nullopt;
}

}  // namespace pmt::model
