// Entries from a file or another process: what is taken writes itself back as the same.
#include "fuzz/fuzz.h"
#include "response_cache/store/entry_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using nlohmann::json;
  namespace rc = pmt::response_cache;
  const auto parsed =
      pmt::base::parse_json(pmt::fuzz::text_of(data, size), {.depth_max = rc::kEntryDepthMax});
  if (!parsed) return 0;
  auto entry = rc::read_outside(*parsed);
  if (!entry) return 0;
  rc::Entry as_entry;
  as_entry.value = entry->value;
  as_entry.meta = entry->meta;
  as_entry.stored_unix_s = entry->stored_unix_s;
  const json written = rc::outside_json(entry->key, as_entry);
  const auto again = rc::read_outside(written);
  pmt::fuzz::require(again.has_value(), "what is written is taken");
  as_entry.value = again->value;
  as_entry.meta = again->meta;
  as_entry.stored_unix_s = again->stored_unix_s;
  pmt::fuzz::require(rc::outside_json(again->key, as_entry) == written, "and is the same");
  return 0;
}
