// Knowledge packs, which users import from others: the head with its checksum, the CBOR body, the slots. A first
// byte of 0 gives the rest as it is; any other has a true head put before it, so that the body is reached.
#include <cstdint>
#include <string>

#include "fuzz/fuzz.h"
#include "knowledge_cache/packs/pack.h"

using pmt::fuzz::require;
using pmt::knowledge_cache::domain_of;
using pmt::knowledge_cache::pack_bytes;
using pmt::knowledge_cache::with_head;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input = pmt::fuzz::text_of(data, size);
  if (input.empty()) return 0;
  const bool whole = input.front() == 0;
  input.remove_prefix(1);
  const auto domain = domain_of(whole ? std::string(input) : with_head(input));
  if (!domain) {
    require(!domain.error().message.empty(), "an error says what is wrong");
    return 0;
  }
  // What was read can be used, and is written so that it can be read again.
  for (const auto& slot : (*domain)->slots()) {
    require((*domain)->find(slot->fact.id) != nullptr, "a slot is found by its id");
    for (const auto& word : slot->mention_words) (void)(*domain)->words_near(word);
  }
  const auto again = domain_of(pack_bytes(**domain));
  require(again.has_value(), "what is written can be read");
  require((*again)->slots().size() == (*domain)->slots().size(), "and holds as many slots");
  return 0;
}
