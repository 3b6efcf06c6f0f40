#include "redis/reply.h"

#include <hiredis/hiredis.h>

namespace pmt::redis {
namespace {

/// Deeper than this no reply of ours is: a peer that nests more is no Redis.
constexpr int kDepthMax = 8;

Reply copied(const redisReply& from, int depth) {
  Reply out;
  switch (from.type) {
    case REDIS_REPLY_INTEGER:
      out.kind = Reply::Kind::kInteger;
      out.integer = from.integer;
      break;
    case REDIS_REPLY_STRING:
      out.kind = Reply::Kind::kText;
      break;
    case REDIS_REPLY_STATUS:
      out.kind = Reply::Kind::kStatus;
      break;
    case REDIS_REPLY_ERROR:
      out.kind = Reply::Kind::kError;
      break;
    case REDIS_REPLY_ARRAY:
      out.kind = Reply::Kind::kArray;
      for (std::size_t i = 0; i < from.elements && depth < kDepthMax; ++i)
        out.items.push_back(copied(*from.element[i], depth + 1));
      break;
    default:
      break;
  }
  if (from.str != nullptr) out.text.assign(from.str, from.len);
  return out;
}

}  // namespace

Reply reply_of(const redisReply& from) {
  return copied(from, 0);
}

}  // namespace pmt::redis
