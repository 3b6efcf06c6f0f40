#include "base/hash.h"

#include <openssl/sha.h>

#include "base/hex.h"

namespace pmt::base {

std::string Digest::hex() const {
  return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::optional<Digest> Digest::of_hex(std::string_view text) {
  const auto raw = from_hex(text);
  Digest out;
  if (!raw || raw->size() != out.bytes.size()) return std::nullopt;
  std::memcpy(out.bytes.data(), raw->data(), raw->size());
  return out;
}

Digest sha256(std::string_view bytes) {
  Digest d;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), d.bytes.data());
  return d;
}

}  // namespace pmt::base
