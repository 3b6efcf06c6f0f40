#include "base/hash.h"

#include <memory>
#include <stdexcept>

#include <openssl/evp.h>

#include "base/hex.h"

namespace pmt::base {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

}  // namespace

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
  // OpenSSL's one-call form looks the algorithm up by its name and allocates a context each time, which takes
  // as long as hashing 700 bytes: a thread keeps its context, and the process what was looked up.
  static const EVP_MD* const kAlgorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  Digest d;
  if (EVP_DigestInit_ex2(context.get(), kAlgorithm, nullptr) != 1 ||
      EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1 ||
      EVP_DigestFinal_ex(context.get(), d.bytes.data(), nullptr) != 1) {
    throw std::runtime_error("OpenSSL offers no SHA-256 here");  // rather than the same key for everything
  }
  return d;
}

}  // namespace pmt::base
