#include "redis/link.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "redis/cluster_replies.h"
#include "redis/slots.h"

namespace pmt::redis {
namespace {

constexpr int kHopsMax = 5;

bool begins(const std::string& text, std::string_view with) {
  return text.compare(0, with.size(), with) == 0;
}

/// A server that is there but can't work now.
bool is_away(const Reply& reply) {
  if (!reply.is(Reply::Kind::kError)) return false;
  for (const char* word : {"LOADING", "CLUSTERDOWN", "MASTERDOWN", "BUSY", "TRYAGAIN", "READONLY"})
    if (begins(reply.text, word)) return true;
  return false;
}

}  // namespace

void Link::close() {
  connections_.clear();
  ranges_.clear();
  mapped_ = false;
}

base::Result<Connection*> Link::connection(const Endpoint& node, Deadline until) {
  auto& place = connections_[node];
  if (!place) {
    TRY_ASSIGN(place, Connection::open(node, options_.login, until));
  }
  return place.get();
}

base::Status Link::read_map(const Endpoint& from, Deadline until) {
  TRY_ASSIGN(Connection * seed, connection(from, until));
  TRY_ASSIGN(const Reply reply, seed->call(Command{.words = {"CLUSTER", "SLOTS"}}, until));
  ranges_ = ranges_of(reply, from);  // an error reply (no Cluster) has none
  if (ranges_.empty() && reply.is(Reply::Kind::kArray))
    return base::Error{base::Code::kUnavailable, fmt::format("the Cluster at {} has no slots", from.text())};
  mapped_ = true;
  return {};
}

base::Status Link::ensure_map(Deadline until) {
  if (mapped_) return {};
  return read_map(options_.seed, until);
}

base::Result<Endpoint> Link::node_of(const Command& command) const {
  if (ranges_.empty() || command.key.empty()) return options_.seed;
  const std::uint32_t slot = slot_of(command.key);
  for (const SlotRange& range : ranges_)
    if (range.first <= slot && slot <= range.last) return range.node;
  return base::Error{base::Code::kUnavailable, fmt::format("no node of the Cluster has slot {}", slot)};
}

/// After MOVED the map is read again; after ASK only this command goes elsewhere.
base::Result<Reply> Link::follow(const Command& command, Reply reply, Deadline until) {
  for (int hop = 0; hop < kHopsMax; ++hop) {
    const auto target = redirect_of(reply, options_.seed);
    if (!target) break;
    const bool ask = begins(reply.text, "ASK ");
    if (!ask) {
      if (base::Status read = read_map(*target, until); !read) return read.error();
    }
    TRY_ASSIGN(Connection * node, connection(*target, until));
    if (ask) {
      const Command asking{.words = {"ASKING"}};
      TRY_ASSIGN(auto both, node->call({&asking, &command}, until));
      reply = std::move(both.back());
    } else {
      TRY_ASSIGN(reply, node->call(command, until));
    }
  }
  if (is_away(reply) || redirect_of(reply, options_.seed))
    return base::Error{base::Code::kUnavailable, "Redis: " + reply.text};
  return reply;
}

base::Result<std::vector<Reply>> Link::try_call(const std::vector<Command>& commands, Deadline until) {
  TRY(ensure_map(until));
  std::map<Endpoint, std::vector<std::size_t>> by_node;
  for (std::size_t i = 0; i < commands.size(); ++i) {
    TRY_ASSIGN(const Endpoint node, node_of(commands[i]));
    by_node[node].push_back(i);
  }
  std::vector<Reply> out(commands.size());
  for (const auto& [node, indices] : by_node) {
    std::vector<const Command*> part;
    for (const std::size_t i : indices) part.push_back(&commands[i]);
    TRY_ASSIGN(Connection * to, connection(node, until));
    TRY_ASSIGN(auto replies, to->call(part, until));
    for (std::size_t i = 0; i < indices.size(); ++i) out[indices[i]] = std::move(replies[i]);
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!out[i].is(Reply::Kind::kError)) continue;
    TRY_ASSIGN(out[i], follow(commands[i], std::move(out[i]), until));
  }
  return out;
}

base::Result<std::vector<Reply>> Link::call(const std::vector<Command>& commands, Deadline until) {
  auto out = try_call(commands, until);
  if (!out) close();
  return out;
}

base::Result<Reply> Link::call(Command command, Deadline until) {
  TRY_ASSIGN(auto replies, call(std::vector<Command>{std::move(command)}, until));
  return std::move(replies.front());
}

std::vector<Endpoint> Link::master_list() const {
  if (ranges_.empty()) return {options_.seed};
  std::set<Endpoint> masters;
  for (const SlotRange& range : ranges_) masters.insert(range.node);
  return {masters.begin(), masters.end()};
}

base::Result<std::size_t> Link::masters(Deadline until) {
  if (base::Status mapped = ensure_map(until); !mapped) {
    close();
    return mapped.error();
  }
  return master_list().size();
}

base::Result<Reply> Link::call_master(std::size_t i, const Command& command, Deadline until) {
  TRY_ASSIGN(const std::size_t count, masters(until));
  if (i >= count) return base::Error{base::Code::kNotFound, "the Cluster has fewer masters by now"};
  const auto asked = [&]() -> base::Result<Reply> {
    TRY_ASSIGN(Connection * node, connection(master_list()[i], until));
    return node->call(command, until);
  }();
  if (!asked) close();
  if (asked && is_away(*asked)) return base::Error{base::Code::kUnavailable, "Redis: " + asked->text};
  return asked;
}

base::Result<std::vector<Reply>> Link::call_each(const Command& command, Deadline until) {
  TRY_ASSIGN(const std::size_t count, masters(until));
  std::vector<Reply> out;
  for (std::size_t i = 0; i < count; ++i) {
    TRY_ASSIGN(Reply reply, call_master(i, command, until));
    out.push_back(std::move(reply));
  }
  return out;
}

}  // namespace pmt::redis
