// A value of any shape from its coming in to the operator's list: put by a tenant (first byte 0), or read
// from a disk or another server's Redis (1: as JSON, else as CBOR). What is taken can be kept, read, shown
// and listed.
#include "api/json/cache_entry_json.h"
#include "api/json/json_writer.h"
#include "base/json.h"
#include "fuzz/fuzz.h"
#include "response_cache/store/entry_record.h"

using nlohmann::json;
using pmt::fuzz::require;
namespace api = pmt::api;
namespace base = pmt::base;
namespace rc = pmt::response_cache;

namespace {

base::Result<rc::Entry> put(const std::string& body) {
  TRY_ASSIGN(auto entry, api::parse_entry(body));
  rc::Entry out;
  out.value.content = std::move(entry.value);
  out.meta = std::move(entry.options);
  out.meta.tenant = "a tenant";
  return out;
}

base::Result<rc::Entry> kept(std::string_view bytes, bool is_text) {
  const base::JsonLimits limits{.depth_max = rc::kEntryDepthMax};
  TRY_ASSIGN(const json value, is_text ? base::parse_json(bytes, limits) : base::parse_cbor(bytes, limits));
  rc::Entry out;
  TRY_ASSIGN(out.value, rc::read_value(value));
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes = pmt::fuzz::text_of(data + 1, size - 1);
  const auto entry = data[0] == 0 ? put(std::string(bytes)) : kept(bytes, data[0] == 1);
  if (!entry) {
    require(!entry.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  const auto again = rc::read_record({}, rc::record_of(*entry));
  require(again.has_value(), "what was taken can be kept");
  const json shown = api::entry_json({}, *entry, base::Nanos(0));
  (void)api::to_text(shown);
  const json listed = api::listed_json(shown, entry->meta);
  require(base::at(listed, "preview").is_string() && !listed.contains("value"), "a list shows its beginning");
  require(api::to_text(listed).size() < 100'000, "and no more");
  return 0;
}
