#include "kv_cache/disk/block_chain.h"

#include <cstring>
#include <string>

#include <fmt/format.h>

namespace pmt::kv_cache {

base::Digest chain_root(const base::Digest& secret, std::string_view settings, std::string_view scope) {
  // Lengths first: no scope can pass for another one and settings.
  return base::sha256(
      fmt::format("{}:{}:{}{}:{}", secret.hex(), settings.size(), settings, scope.size(), scope));
}

std::vector<base::Digest> chain_of(const base::Digest& root, std::span<const std::int32_t> tokens) {
  constexpr std::size_t kBlock = kBlockTokens;
  std::vector<base::Digest> out;
  base::Digest before = root;
  std::string text(sizeof before.bytes + kBlock * sizeof(std::int32_t), '\0');
  for (std::size_t at = 0; at + kBlock <= tokens.size(); at += kBlock) {
    std::memcpy(text.data(), before.bytes.data(), sizeof before.bytes);
    std::memcpy(text.data() + sizeof before.bytes, tokens.data() + at, kBlock * sizeof(std::int32_t));
    before = base::sha256(text);
    out.push_back(before);
  }
  return out;
}

}  // namespace pmt::kv_cache
