// What Redis answers, as plain data. Thread-safety: plain data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct redisReply;

namespace pmt::redis {

struct Reply {
  enum class Kind { kNil, kInteger, kText, kStatus, kError, kArray };
  Kind kind = Kind::kNil;
  std::int64_t integer = 0;
  std::string text = {};  // kText, kStatus, kError: bytes
  std::vector<Reply> items = {};

  bool is(Kind wanted) const { return kind == wanted; }
  /// The i-th item; nil if there is none.
  const Reply& at(std::size_t i) const {
    static const Reply kNone;
    return i < items.size() ? items[i] : kNone;
  }
};

/// hiredis's as ours. What is nested deeper than any reply to our commands is left out.
Reply reply_of(const redisReply& from);

/// A command and the key that says which node of a Cluster it is for ("": any).
struct Command {
  std::vector<std::string> words;
  std::string key = {};
};

}  // namespace pmt::redis
