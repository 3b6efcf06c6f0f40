// One block of a prefix as the bytes of a file: a header, then the pages of all tables (note 0040).
//
// The header says whose block it is; a checksum (XXH3) covers header and pages. With a secret the pages are encrypted
// (AES-256-GCM), and the tag, which covers the header too, takes the checksum's place.
// Thread-safety: const after it is made. Errors: decode says kCorrupt (damaged or not ours) and kForbidden (of another
// secret, or of none). Cost: one pass over the pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"

namespace pmt::kv_cache {

/// What a file says of its block.
struct BlockInfo {
  base::Digest key;     // its name, chained over all tokens before it (block_chain.h)
  base::Digest parent;  // the block before it, or what the chain begins with
  int tokens = 0;
  double compute_ms = 0;  // what reading its tokens took the model
  std::int64_t written_unix_s = 0;
};

class BlockFile {
 public:
  static constexpr std::size_t kHeaderBytes = 160;
  static constexpr std::size_t kSecretBytes = 32;

  /// `secret`: kSecretBytes, or "": nothing is encrypted.
  explicit BlockFile(const std::string& secret);

  /// Into `out`, which keeps its memory from one block to the next. Errors: kInternal, OpenSSL refused.
  base::Status encode(const BlockInfo& info, std::span<const std::span<const std::byte>> pages,
                      std::string& out) const;
  /// The pages of `file`, in place. `info`: what it says of itself.
  base::Result<std::span<const std::byte>> decode(std::string& file, BlockInfo& info) const;
  /// Of a file's first kHeaderBytes, without a look at its pages; the file has `bytes` in all.
  base::Result<BlockInfo> read_header(std::string_view header, std::uint64_t bytes) const;

  /// Mixed into names, so that who has no secret can't tell which prompts were read.
  const base::Digest& name_secret() const { return name_secret_; }

 private:
  base::Digest page_secret_, name_secret_;
  std::uint64_t secret_id_ = 0;  // 0: none
};

}  // namespace pmt::kv_cache
