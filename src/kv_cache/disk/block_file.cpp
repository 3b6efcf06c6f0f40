#include "kv_cache/disk/block_file.h"

#include <array>
#include <cstring>
#include <memory>
#include <type_traits>

#include <openssl/evp.h>
#include <openssl/rand.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

namespace pmt::kv_cache {
namespace {

constexpr std::array<char, 8> kMagic{'p', 'm', 't', 'k', 'v', '0', '0', '1'};
constexpr std::size_t kTagBytes = 16;

/// As it lies in the file, on machines that are all little-endian.
struct Header {
  std::array<char, 8> magic;
  std::array<std::uint8_t, 32> key, parent;
  std::uint64_t secret_id;
  std::array<std::uint8_t, 16> nonce;  // the first 12 bytes
  std::array<std::uint8_t, kTagBytes> tag;
  std::uint64_t payload_bytes, tokens;
  double compute_ms;
  std::int64_t written_unix_s;
  std::uint64_t payload_sum;  // 0 where the tag says it
  std::uint64_t header_sum;   // of all before it
};
static_assert(sizeof(Header) == BlockFile::kHeaderBytes && std::is_trivially_copyable_v<Header>);

std::uint64_t sum_of(const Header& header) {
  return XXH3_64bits(&header, offsetof(Header, header_sum));
}

base::Error corrupt(const char* what) {
  return {base::Code::kCorrupt, what};
}

struct Freed {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

const std::uint8_t* as_u8(const std::byte* bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes);
}

/// Of the header, what the tag covers beside the pages: all that stands before the tag, and what follows it.
std::array<std::uint8_t, sizeof(Header)> covered(Header header) {
  header.tag = {};
  header.payload_sum = header.header_sum = 0;
  std::array<std::uint8_t, sizeof(Header)> out{};
  std::memcpy(out.data(), &header, sizeof header);
  return out;
}

base::Error refused() {
  return {base::Code::kInternal, "OpenSSL refuses AES-256-GCM"};
}

/// One message under the header's nonce, from its beginning.
class Gcm {
 public:
  static base::Result<Gcm> begin(const base::Digest& secret, const Header& header, bool encrypts) {
    Gcm out;
    out.context_.reset(EVP_CIPHER_CTX_new());
    int length = 0;
    const auto about = covered(header);
    const bool begun = out.context_ != nullptr &&
                       EVP_CipherInit_ex(out.context_.get(), EVP_aes_256_gcm(), nullptr, secret.bytes.data(),
                                         header.nonce.data(), encrypts ? 1 : 0) == 1 &&
                       EVP_CipherUpdate(out.context_.get(), nullptr, &length, about.data(),
                                        static_cast<int>(about.size())) == 1;
    if (!begun) return refused();
    return out;
  }
  bool update(const std::byte* from, std::size_t bytes, char* to) {
    int length = 0;
    return EVP_CipherUpdate(context_.get(), reinterpret_cast<std::uint8_t*>(to), &length, as_u8(from),
                            static_cast<int>(bytes)) == 1;
  }
  bool finish() {
    int length = 0;
    std::array<std::uint8_t, kTagBytes> none{};
    return EVP_CipherFinal_ex(context_.get(), none.data(), &length) == 1;
  }
  bool get_tag(Header& header) {
    return EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, header.tag.data()) == 1;
  }
  bool set_tag(Header& header) {
    return EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, header.tag.data()) == 1;
  }

 private:
  std::unique_ptr<EVP_CIPHER_CTX, Freed> context_;
};

BlockInfo info_of(const Header& header) {
  BlockInfo out;
  out.key.bytes = header.key;
  out.parent.bytes = header.parent;
  out.tokens = static_cast<int>(header.tokens);
  out.compute_ms = header.compute_ms;
  out.written_unix_s = header.written_unix_s;
  return out;
}

base::Result<Header> header_of(std::string_view bytes, std::uint64_t file_bytes) {
  if (bytes.size() < sizeof(Header)) return corrupt("it ends inside its header");
  Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic) return corrupt("it is no block of a prefix");
  if (header.header_sum != sum_of(header)) return corrupt("its header's checksum is wrong");
  if (file_bytes != sizeof(Header) + header.payload_bytes)
    return corrupt("it has not the length that it says");
  return header;
}

}  // namespace

BlockFile::BlockFile(const std::string& secret) {
  if (secret.empty()) return;
  CHECK(secret.size() == kSecretBytes);
  page_secret_ = base::sha256("prefix pages\n" + secret);
  name_secret_ = base::sha256("prefix names\n" + secret);
  const base::Digest id = base::sha256("prefix secret\n" + secret);
  std::memcpy(&secret_id_, id.bytes.data(), sizeof secret_id_);
}

base::Status BlockFile::encode(const BlockInfo& info, std::span<const std::span<const std::byte>> pages,
                               std::string& out) const {
  Header header{};
  header.magic = kMagic;
  header.key = info.key.bytes;
  header.parent = info.parent.bytes;
  header.secret_id = secret_id_;
  for (const auto& page : pages) header.payload_bytes += page.size();
  header.tokens = static_cast<std::uint64_t>(info.tokens);
  header.compute_ms = info.compute_ms;
  header.written_unix_s = info.written_unix_s;
  out.resize(sizeof header + header.payload_bytes);
  char* to = out.data() + sizeof header;
  if (secret_id_ != 0) {
    constexpr int kNonceBytes = 12;
    if (RAND_bytes(header.nonce.data(), kNonceBytes) != 1) return refused();
    TRY_ASSIGN(Gcm gcm, Gcm::begin(page_secret_, header, true));
    for (const auto& page : pages) {
      if (!gcm.update(page.data(), page.size(), to)) return refused();
      to += page.size();
    }
    if (!gcm.finish() || !gcm.get_tag(header)) return refused();
  } else {
    for (const auto& page : pages) {
      std::memcpy(to, page.data(), page.size());
      to += page.size();
    }
    header.payload_sum = XXH3_64bits(out.data() + sizeof header, header.payload_bytes);
  }
  header.header_sum = sum_of(header);
  std::memcpy(out.data(), &header, sizeof header);
  return {};
}

base::Result<BlockInfo> BlockFile::read_header(std::string_view bytes, std::uint64_t file_bytes) const {
  TRY_ASSIGN(const Header header, header_of(bytes, file_bytes));
  if (header.secret_id != secret_id_)
    return base::Error{base::Code::kForbidden, "it was written with another key"};
  return info_of(header);
}

base::Result<std::span<const std::byte>> BlockFile::decode(std::string& file, BlockInfo& info) const {
  TRY_ASSIGN(Header header, header_of(file, file.size()));
  if (header.secret_id != secret_id_)
    return base::Error{base::Code::kForbidden, "it was written with another key"};
  auto* const payload = reinterpret_cast<std::byte*>(file.data() + sizeof header);
  if (secret_id_ != 0) {
    TRY_ASSIGN(Gcm gcm, Gcm::begin(page_secret_, header, false));
    const bool whole = gcm.update(payload, header.payload_bytes, file.data() + sizeof header) &&
                       gcm.set_tag(header) && gcm.finish();
    if (!whole) return corrupt("its pages don't fit their tag");
  } else if (header.payload_sum != XXH3_64bits(payload, header.payload_bytes)) {
    return corrupt("its pages' checksum is wrong");
  }
  info = info_of(header);
  return std::span<const std::byte>{payload, header.payload_bytes};
}

}  // namespace pmt::kv_cache
