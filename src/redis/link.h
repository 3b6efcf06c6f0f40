// Redis or Valkey as one thing, whether it is one server or a Cluster: each command goes to the node that has
// its key, MOVED and ASK are followed, and what goes to one node goes in one write.
//
// Thread-safety: one thread at a time.
// Errors: as Connection's; also kUnavailable while a Cluster has no node for a slot. After an error every
// connection is closed, and the next call opens them anew.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "redis/cluster_replies.h"
#include "redis/connection.h"

namespace pmt::redis {

struct LinkOptions {
  Endpoint seed;  // any node
  Login login;
};

class Link {
 public:
  explicit Link(LinkOptions options) : options_(std::move(options)) {}

  /// One reply a command, in order.
  base::Result<std::vector<Reply>> call(const std::vector<Command>& commands, Deadline until);
  base::Result<Reply> call(Command command, Deadline until);
  /// The same command on each master; in no order.
  base::Result<std::vector<Reply>> call_each(const Command& command, Deadline until);
  /// How many masters there are.
  base::Result<std::size_t> masters(Deadline until);
  /// The same command on the i-th of them.
  base::Result<Reply> call_master(std::size_t i, const Command& command, Deadline until);
  void close();

 private:
  base::Result<Connection*> connection(const Endpoint& node, Deadline until);
  base::Status read_map(const Endpoint& from, Deadline until);
  base::Status ensure_map(Deadline until);
  base::Result<Endpoint> node_of(const Command& command) const;
  base::Result<Reply> follow(const Command& command, Reply reply, Deadline until);
  base::Result<std::vector<Reply>> try_call(const std::vector<Command>& commands, Deadline until);
  std::vector<Endpoint> master_list() const;

  const LinkOptions options_;
  bool mapped_ = false;
  std::vector<SlotRange> ranges_;  // empty: no Cluster, the seed has all
  std::map<Endpoint, std::unique_ptr<Connection>> connections_;
};

}  // namespace pmt::redis
