// The names of a prompt's blocks: each is the hash of the name before it and of the block's own tokens, so that a name stands
// for all tokens up to its block's end and for all that must be equal beside them (note 0040).
// Thread-safety: pure. Cost: a hash of 288 bytes a block, about a microsecond.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "kernels/page_layout.h"

namespace pmt::kv_cache {

/// Of a block: whole pages.
inline constexpr int kBlockTokens = 2 * kernels::kPageTokens;

/// What chains of equal `settings` and `scope` begin with, under this secret of the files (BlockFile::name_secret).
base::Digest chain_root(const base::Digest& secret, std::string_view settings, std::string_view scope);

/// The names of all whole blocks of `tokens`.
std::vector<base::Digest> chain_of(const base::Digest& root, std::span<const std::int32_t> tokens);

}  // namespace pmt::kv_cache
