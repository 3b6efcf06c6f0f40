#include "base/file_digest.h"

#include <openssl/evp.h>

#include <fstream>
#include <memory>
#include <vector>

#include <fmt/format.h>

namespace pmt::base {

Result<Digest> digest_of_file(const std::filesystem::path& file) {
  const auto failed = [&] { return Error{Code::kIo, fmt::format("can't read {}", file.string())}; };
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file)) return failed();
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const Error no_hash{Code::kIo, "OpenSSL offers no SHA-256 here"};
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) return no_hash;
  std::vector<char> buffer(1 << 20);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0) {
    if (EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(in.gcount())) != 1)
      return no_hash;
  }
  if (in.bad()) return failed();
  Digest digest;
  if (EVP_DigestFinal_ex(context.get(), digest.bytes.data(), nullptr) != 1) return no_hash;
  return digest;
}

}  // namespace pmt::base
