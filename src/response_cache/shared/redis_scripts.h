// The scripts that the shared tier runs in Redis: each touches keys of one slot only, and uses commands of
// Redis 5 that Valkey has too.
#pragma once

namespace pmt::response_cache::scripts {

/// KEYS value, lease; ARGV token, lease ms, take?, read? -> ["v", value, ms left] | ["n"] | ["l"] | ["w"]
inline constexpr const char* kAcquire = R"(
if ARGV[4] == '1' then
  local v = redis.call('GET', KEYS[1])
  if v then return {'v', v, redis.call('PTTL', KEYS[1])} end
end
if ARGV[3] == '0' then return {'n'} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'l'} end
return {'w'}
)";

/// KEYS value, lease; ARGV bytes, ms to live, token -> 1 if there was a value before
inline constexpr const char* kPut = R"(
local had = redis.call('EXISTS', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[3] ~= '' and redis.call('GET', KEYS[2]) == ARGV[3] then redis.call('DEL', KEYS[2]) end
return had
)";

/// KEYS lease; ARGV token -> 1 if it was ours
inline constexpr const char* kRelease = R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
)";

/// KEYS lease; ARGV token, ms -> 1 if it is ours still
inline constexpr const char* kRenew = R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
)";

/// KEYS value; ARGV its first 32 bytes: removes it if it still begins so.
inline constexpr const char* kSweep = R"(
if redis.call('GETRANGE', KEYS[1], 0, 31) == ARGV[1] then return redis.call('UNLINK', KEYS[1]) end
return 0
)";

/// KEYS state, log, servers, void; ARGV an epoch if there is none, id, ms to live
/// -> [epoch, number, id of the log's last record, servers alive, highest number forgotten, filters kept]
inline constexpr const char* kJoin = R"(
redis.call('HSETNX', KEYS[1], 'epoch', ARGV[1])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[3], now + ARGV[3], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
local id = '0-0'
if last[1] then id = last[1][1] end
return {redis.call('HGET', KEYS[1], 'epoch'), redis.call('HGET', KEYS[1], 'n') or '0', id,
        redis.call('ZCARD', KEYS[3]), redis.call('HGET', KEYS[1], 'pruned') or '0',
        redis.call('HLEN', KEYS[4])}
)";

/// KEYS state, void, log, servers; ARGV filter, id, "void" or "replaced" -> [number, epoch, [ids alive]]
inline constexpr const char* kAnnounce = R"(
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
if ARGV[3] == 'void' then redis.call('HSET', KEYS[2], ARGV[1], n .. ':' .. t[1]) end
redis.call('XADD', KEYS[3], 'MAXLEN', '~', 10000, '*', 'n', n, 'f', ARGV[1], 'k', ARGV[3], 's', ARGV[2])
return {n, redis.call('HGET', KEYS[1], 'epoch') or '', redis.call('ZRANGEBYSCORE', KEYS[4], now, '+inf')}
)";

/// KEYS state, void; ARGV filter, its value as read, its number: forgets it if it was not used again.
inline constexpr const char* kForget = R"(
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] then return 0 end
if tonumber(ARGV[3]) > tonumber(redis.call('HGET', KEYS[1], 'pruned') or '0') then
  redis.call('HSET', KEYS[1], 'pruned', ARGV[3])
end
return redis.call('HDEL', KEYS[2], ARGV[1])
)";

/// KEYS void; ARGV filters and their values as read, in turn: removes those that were not used again. Only
/// for filters that a newer, wider one covers.
inline constexpr const char* kFold = R"(
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
)";

}  // namespace pmt::response_cache::scripts
