// What the shared tier's scripts and its log answer, taken apart. Foreign bytes: whoever writes to that Redis
// chose them, so whatever has another form is an error (kCorrupt), and a number is below 2^48.
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "redis/reply.h"
#include "response_cache/store/invalidation.h"

namespace pmt::response_cache {

/// Numbers of invalidations have so many bits.
inline constexpr unsigned kNumberBits = 48;

struct JoinReply {
  std::uint64_t epoch = 0, number = 0;
  std::uint64_t servers = 0;    // that are alive
  std::uint64_t forgotten = 0;  // no filter up to this number need be in the table
  std::uint64_t filters = 0;    // in the table
  std::string last_id = {};     // of the log
};
base::Result<JoinReply> read_join(const redis::Reply& reply);

struct AnnounceReply {
  std::uint64_t number = 0, epoch = 0;
  std::vector<std::string> alive = {};
};
base::Result<AnnounceReply> read_announce(const redis::Reply& reply);

/// One of the log.
struct LogRecord {
  std::string id = {}, who = {};
  std::uint64_t number = 0;
  bool voids = false;  // else a value was only replaced
  Filter filter = {};
};
base::Result<LogRecord> read_log_record(const redis::Reply& record);

/// One of the table of invalidations: a filter, and when it was used last.
struct TableRow {
  Filter filter = {};
  std::uint64_t number = 0;
  double used_unix_s = 0;
};
base::Result<TableRow> read_table_row(const std::string& filter, const std::string& used);

}  // namespace pmt::response_cache
