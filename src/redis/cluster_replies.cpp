#include "redis/cluster_replies.h"

#include <charconv>
#include <string_view>
#include <utility>

#include "redis/slots.h"

namespace pmt::redis {
namespace {

bool is_port(std::int64_t number) {
  return number > 0 && number <= 65'535;
}

}  // namespace

std::vector<SlotRange> ranges_of(const Reply& reply, const Endpoint& from) {
  std::vector<SlotRange> out;
  for (const Reply& range : reply.items) {
    const std::int64_t first = range.at(0).integer, last = range.at(1).integer;
    const Reply& master = range.at(2);
    if (first < 0 || first > last || last >= kSlots || !is_port(master.at(1).integer)) continue;
    Endpoint node{.host = master.at(0).text, .port = static_cast<int>(master.at(1).integer)};
    if (node.host.empty()) node.host = from.host;
    out.push_back({static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(last), std::move(node)});
  }
  return out;
}

std::optional<Endpoint> redirect_of(const Reply& reply, const Endpoint& from) {
  const std::string_view text = reply.text;
  if (!reply.is(Reply::Kind::kError) || (!text.starts_with("MOVED ") && !text.starts_with("ASK ")))
    return std::nullopt;
  const std::string_view where = text.substr(text.rfind(' ') + 1);
  const auto colon = where.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  int port = 0;
  const char* const end = where.data() + where.size();
  const auto [stopped, error] = std::from_chars(where.data() + colon + 1, end, port);
  if (error != std::errc() || stopped != end || !is_port(port)) return std::nullopt;
  return Endpoint{.host = colon == 0 ? from.host : std::string(where.substr(0, colon)), .port = port};
}

}  // namespace pmt::redis
