#include "app/wiring/prefix_store.h"

#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/hex.h"

namespace pmt::app {
namespace {

/// "": nothing is encrypted.
base::Result<std::string> secret_of(const PrefixesConfig& config) {
  if (config.key_env.empty()) return std::string();
  const char* const digits = std::getenv(config.key_env.c_str());
  const auto secret = digits == nullptr ? std::nullopt : base::from_hex(digits);
  if (secret && secret->size() == kv_cache::BlockFile::kSecretBytes) return *secret;
  return base::invalid(
      fmt::format("[prefixes] key_env: the environment variable {} {}: openssl rand -hex 32 makes such a key",
                  config.key_env, digits == nullptr ? "is not set" : "has not 64 hex digits"),
      "key_env");
}

}  // namespace

base::Result<std::unique_ptr<kv_cache::PrefixFiles>> open_prefixes(const PrefixesConfig& config,
                                                                   const base::Clock& clock) {
  if (config.path.empty()) return std::unique_ptr<kv_cache::PrefixFiles>();
  TRY_ASSIGN(std::string secret, secret_of(config));
  auto files =
      kv_cache::PrefixFiles::open({.path = config.path,
                                   .bytes_max = config.disk_bytes_max,
                                   .secret = std::move(secret),
                                   .on_warning = [](const std::string& text) { spdlog::warn(text); }},
                                  clock);
  if (!files) {
    spdlog::warn("prefixes: {}. They are kept in memory only", files.error().message);
    return std::unique_ptr<kv_cache::PrefixFiles>();
  }
  const kv_cache::PrefixFilesStats stats = (*files)->stats();
  constexpr int kMebi = 20;
  spdlog::info("prefixes: {} blocks, {} MiB, in {}", stats.entries, stats.bytes >> kMebi, config.path);
  return files;
}

}  // namespace pmt::app
