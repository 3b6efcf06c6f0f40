// What a Redis may answer: the protocol's bytes through hiredis, then all that reads a reply. The last of the
// input is also taken as a value's record under a right checksum, which a stranger could compute as well.
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <hiredis/hiredis.h>
#include <memory>

#include "fuzz/fuzz.h"
#include "redis/cluster_replies.h"
#include "response_cache/shared/redis_replies.h"
#include "response_cache/shared/shared_value.h"
#include "response_cache/store/entry_record.h"

namespace {

using pmt::fuzz::require;
using pmt::redis::Reply;
namespace rc = pmt::response_cache;

void read_all(const Reply& reply) {
  const pmt::redis::Endpoint seed;
  if (const auto node = pmt::redis::redirect_of(reply, seed))
    require(node->port > 0 && !node->host.empty(), "a redirection names a node");
  for (const auto& range : pmt::redis::ranges_of(reply, seed))
    require(range.first <= range.last && range.last < 16384, "a range is one");
  if (const auto joined = rc::read_join(reply))
    require(joined->epoch != 0 && joined->number >> rc::kNumberBits == 0, "a state has numbers");
  if (const auto told = rc::read_announce(reply))
    require(told->number > 0 && told->number >> rc::kNumberBits == 0, "an answer has a number");
  if (const auto record = rc::read_log_record(reply)) {
    const auto again = rc::read_filter(nlohmann::json::parse(rc::filter_text(record->filter)));
    require(again && *again == record->filter, "a filter is told as it was heard");
  }
  (void)rc::read_table_row(reply.at(0).text, reply.at(1).text);
  const rc::Key key = pmt::base::sha256("key");
  for (const std::string* bytes : {&reply.text, &reply.at(1).text}) {
    const auto value = rc::read_shared(key, *bytes);
    if (value) (void)rc::read_record(key, value->record);
    if (const auto begun = rc::peek_shared(*bytes)) (void)rc::peek_record_meta(begun->record);
  }
  for (const Reply& item : reply.items) read_all(item);
}

void read_as_record(std::string bytes) {
  if (bytes.size() < 12) return;
  const std::uint64_t sum = XXH3_64bits(bytes.data() + sizeof sum, bytes.size() - sizeof sum);
  bytes.replace(0, sizeof sum, reinterpret_cast<const char*>(&sum), sizeof sum);
  const rc::Key key = pmt::base::sha256("key");
  const auto read = rc::read_record(key, bytes);
  if (!read) return;
  rc::Entry entry;
  entry.value = read->value;
  entry.meta = read->meta;
  entry.stored_unix_s = read->stored_unix_s;
  const std::string written = rc::shared_bytes(key, {.epoch = 1, .number = 2}, entry);
  const auto again = rc::read_shared(key, written);
  require(again && rc::read_record(key, again->record), "what is written is taken");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::unique_ptr<redisReader, decltype(&redisReaderFree)> reader(redisReaderCreate(), redisReaderFree);
  redisReaderFeed(reader.get(), reinterpret_cast<const char*>(data), size);
  void* reply = nullptr;
  while (redisReaderGetReply(reader.get(), &reply) == REDIS_OK && reply != nullptr) {
    read_all(pmt::redis::reply_of(*static_cast<redisReply*>(reply)));
    freeReplyObject(reply);
  }
  read_as_record(std::string(pmt::fuzz::text_of(data, size)));
  return 0;
}
