#include "base/file_digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/format.h>

namespace pmt::base {

namespace {

constexpr std::uint64_t kPieces = 64, kPieceBytes = 16 << 10, kHeadBytes = 32 << 20;

Error unreadable(const std::filesystem::path& file) {
  return {Code::kIo, fmt::format("can't read {}", file.string())};
}

}  // namespace

Result<Digest> digest_of_file(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in || std::filesystem::is_directory(file)) return unreadable(file);
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const Error no_hash{Code::kIo, "OpenSSL offers no SHA-256 here"};
  if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) return no_hash;
  std::vector<char> buffer(1 << 20);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())), in.gcount() > 0) {
    if (EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(in.gcount())) != 1)
      return no_hash;
  }
  if (in.bad()) return unreadable(file);
  Digest digest;
  if (EVP_DigestFinal_ex(context.get(), digest.bytes.data(), nullptr) != 1) return no_hash;
  return digest;
}

Result<Digest> fingerprint_of_file(const std::filesystem::path& file) {
  std::error_code failed;
  const std::uint64_t size = std::filesystem::file_size(file, failed);
  if (failed) return unreadable(file);
  std::ifstream in(file, std::ios::binary);
  std::string read = fmt::format("{}:", size);
  const auto add = [&](std::uint64_t from, std::uint64_t bytes) {
    const std::size_t held = read.size();
    read.resize(held + bytes);
    in.seekg(static_cast<std::streamoff>(from));
    return static_cast<bool>(in.read(read.data() + held, static_cast<std::streamsize>(bytes)));
  };
  const std::uint64_t head = std::min(size, kHeadBytes);
  if (!add(0, head)) return unreadable(file);
  for (std::uint64_t i = 1; size > head && i <= kPieces; ++i) {
    const std::uint64_t end = head + (size - head) / kPieces * i + (size - head) % kPieces * i / kPieces;
    if (!add(end - kPieceBytes, kPieceBytes)) return unreadable(file);
  }
  return sha256(read);
}

}  // namespace pmt::base
