#include "app/config/shared_cache_config.h"

#include <fmt/format.h>

#include "app/config/config_reader.h"
#include "base/file.h"
#include "redis/url.h"

namespace pmt::app {
namespace {

constexpr std::size_t kPasswordFileBytesMax = 64 << 10;

void read_millis(TableReader& reader, const char* key, std::chrono::milliseconds& out, IntegerRange range) {
  std::int64_t ms = out.count();
  reader.integer(key, ms, range);
  out = std::chrono::milliseconds(ms);
}

base::Status read_password(const std::string& file, const std::string& where, std::string& password) {
  if (file.empty()) return {};
  const auto text = base::read_text_file(file, kPasswordFileBytesMax);
  if (text) password = text->substr(0, text->find_first_of("\r\n"));
  if (text && !password.empty()) return {};
  return base::invalid(fmt::format("{}: [cache.shared] password_file: {}", where,
                                   text ? file + " is empty" : text.error().message),
                       "password_file");
}

}  // namespace

base::Result<response_cache::RedisOptions> read_shared_cache(const toml::table& table,
                                                             const std::string& file) {
  TableReader reader(table, "[cache.shared]", file);
  response_cache::RedisOptions out;
  std::string url, password, password_file;
  redis::TlsOptions tls;
  reader.text("url", url);
  reader.text("password", password);
  reader.text("password_file", password_file);
  reader.text("tls_ca", tls.ca_file);
  reader.text("tls_certificate", tls.certificate_file);
  reader.text("tls_key", tls.key_file);
  reader.text("tls_server_name", tls.server_name);
  reader.boolean("tls_verify", tls.verify);
  reader.text("prefix", out.prefix);
  read_millis(reader, "timeout_ms", out.timeout, {.min = 1, .max = 60'000});
  read_millis(reader, "retry_ms", out.retry, {.min = 10, .max = 3'600'000});
  read_millis(reader, "lease_ms", out.lease, {.min = 100, .max = 600'000});
  read_millis(reader, "wait_ms", out.wait_max, {.min = 0, .max = 600'000});
  read_millis(reader, "reach_ms", out.reach_max, {.min = 0, .max = 600'000});
  reader.number("ttl_s_max", out.ttl_s_max, {.min = 1, .max = 3.2e9});
  reader.integer("entry_bytes_max", out.entry_bytes_max, {.min = 1, .max = 512 << 20});
  TRY(reader.finish());
  const auto at = [&](const std::string& what, const char* key) {
    return base::invalid(
        fmt::format("{}:{}: [cache.shared] {} {}", file, table.source().begin.line, key, what), key);
  };
  const auto at_place = [&](const base::Error& error) {  // which begins with its key
    return base::invalid(
        fmt::format("{}:{}: [cache.shared] {}", file, table.source().begin.line, error.message), error.field);
  };
  if (url.empty()) return at("is required, e.g. \"redis://127.0.0.1:6379\"", "url");
  auto address = redis::parse_url(url);
  if (!address) return at(address.error().message, "url");
  out.seed = std::move(address->endpoint);
  out.login = std::move(address->login);
  if (address->tls) {
    auto loaded = redis::Tls::load(tls);
    if (!loaded) return at_place(loaded.error());
    out.login.tls = *std::move(loaded);
  } else if (tls != redis::TlsOptions{}) {
    return at("must begin with rediss:// where a tls_ setting is given", "url");
  }
  if (!password.empty()) out.login.password = password;
  TRY(read_password(password_file, file, out.login.password));
  // The braces choose a Cluster's slot, the rest must not be a pattern to SCAN.
  if (out.prefix.empty() || out.prefix.size() > 64 ||
      out.prefix.find_first_of("{}*?[]\\^ ") != std::string::npos)
    return at("must be 1 to 64 characters without blanks and {}*?[]\\^", "prefix");
  return out;
}

}  // namespace pmt::app
