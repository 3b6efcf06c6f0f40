#include "response_cache/shared/redis_replies.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "base/json.h"

namespace pmt::response_cache {
namespace {

using redis::Reply;

base::Error foreign(const char* what) {
  return {base::Code::kCorrupt, fmt::format("Redis: {} has another form than this server's", what)};
}

std::optional<std::uint64_t> number_of(std::string_view text, int base = 10) {
  std::uint64_t out = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, out, base);
  return error == std::errc() && stopped == end ? std::optional(out) : std::nullopt;
}

/// An invalidation's.
std::optional<std::uint64_t> serial_of(std::string_view text) {
  const auto out = number_of(text);
  return out && *out >> kNumberBits == 0 ? out : std::nullopt;
}

/// The value of `name` in a record's [name, value, name, value, ...].
const std::string& field(const Reply& fields, const char* name) {
  static const std::string kNone;
  for (std::size_t i = 0; i + 1 < fields.items.size(); i += 2)
    if (fields.items[i].text == name) return fields.items[i + 1].text;
  return kNone;
}

base::Result<Filter> filter_of(const std::string& text) {
  TRY_ASSIGN(const nlohmann::json filter, base::parse_json(text));
  return read_filter(filter);
}

}  // namespace

base::Result<JoinReply> read_join(const Reply& reply) {
  const auto epoch = number_of(reply.at(0).text, 16);
  const auto number = serial_of(reply.at(1).text), forgotten = serial_of(reply.at(4).text);
  if (!epoch || *epoch == 0 || !number || !forgotten) return foreign("the state");
  return JoinReply{.epoch = *epoch,
                   .number = *number,
                   .servers = static_cast<std::uint64_t>(std::max<std::int64_t>(reply.at(3).integer, 0)),
                   .forgotten = *forgotten,
                   .filters = static_cast<std::uint64_t>(std::max<std::int64_t>(reply.at(5).integer, 0)),
                   .last_id = reply.at(2).text};
}

base::Result<AnnounceReply> read_announce(const Reply& reply) {
  const std::int64_t number = reply.at(0).integer;
  const auto epoch = number_of(reply.at(1).text, 16);
  if (number <= 0 || number >> kNumberBits != 0) return foreign("an invalidation's answer");
  AnnounceReply out{.number = static_cast<std::uint64_t>(number), .epoch = epoch.value_or(0)};
  for (const Reply& id : reply.at(2).items) out.alive.push_back(id.text);
  return out;
}

base::Result<LogRecord> read_log_record(const Reply& record) {
  const Reply& fields = record.at(1);
  const auto number = serial_of(field(fields, "n"));
  auto filter = filter_of(field(fields, "f"));
  if (!number || *number == 0 || !filter) return foreign("a record of the log");
  return LogRecord{.id = record.at(0).text,
                   .who = field(fields, "s"),
                   .number = *number,
                   .voids = field(fields, "k") == "void",
                   .filter = std::move(*filter)};
}

base::Result<TableRow> read_table_row(const std::string& filter, const std::string& used) {
  auto read = filter_of(filter);
  const auto colon = used.find(':');
  if (!read || colon == std::string::npos) return foreign("the table of invalidations");
  const auto number = serial_of(std::string_view(used).substr(0, colon));
  const auto at = number_of(std::string_view(used).substr(colon + 1));
  if (!number || !at) return foreign("the table of invalidations");
  return TableRow{.filter = std::move(*read), .number = *number, .used_unix_s = static_cast<double>(*at)};
}

}  // namespace pmt::response_cache
