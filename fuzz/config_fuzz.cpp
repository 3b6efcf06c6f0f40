// The configuration file: whatever is in it, an answer or an error with words.
#include "app/config/config.h"
#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto config = pmt::app::parse_config(pmt::fuzz::text_of(data, size), "c.toml");
  if (!config) pmt::fuzz::require(!config.error().message.empty(), "an error says what is wrong");
  return 0;
}
