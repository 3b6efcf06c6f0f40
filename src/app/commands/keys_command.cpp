// permutation keys new: makes an API key, shows it once, and prints what to paste into the config.
#include <sys/random.h>

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "api/access.h"
#include "app/commands/commands.h"
#include "app/commands/examples.h"
#include "app/commands/exit_code.h"
#include "base/hash.h"

namespace pmt::app {
namespace {

struct KeyWish {
  std::string name = "my-key", tenant;
  std::vector<std::string> scopes = {"inference"};
  double requests_per_minute = 0, tokens_per_minute = 0;
  int concurrent_max = 0;
  double budget_usd_per_day = 0;
  bool json = false;
};

/// 256 random bits in base64url, with a prefix by which leak scanners can know it.
std::string new_key() {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::array<unsigned char, 33> bytes{};
  if (::getrandom(bytes.data(), 32, 0) != 32) return {};
  std::string key = "pmt-";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const unsigned triple = bytes[i] << 16U | bytes[i + 1] << 8U | bytes[i + 2];
    for (int shift = 18; shift >= 0; shift -= 6) key += kDigits[triple >> static_cast<unsigned>(shift) & 63U];
  }
  return key;
}

std::string quoted(const std::string& text) {
  return nlohmann::json(text).dump();  // TOML's basic strings escape as JSON's do
}

std::string toml_of(const KeyWish& wish, const std::string& sha256) {
  std::vector<std::string> scopes;
  for (const std::string& scope : wish.scopes) scopes.push_back(quoted(scope));
  std::string out = fmt::format("[[key]]\nname = {}\nsha256 = \"{}\"\nscopes = [{}]\n", quoted(wish.name),
                                sha256, fmt::join(scopes, ", "));
  if (!wish.tenant.empty()) out += fmt::format("tenant = {}\n", quoted(wish.tenant));
  if (wish.requests_per_minute > 0)
    out += fmt::format("requests_per_minute = {}\n", wish.requests_per_minute);
  if (wish.tokens_per_minute > 0) out += fmt::format("tokens_per_minute = {}\n", wish.tokens_per_minute);
  if (wish.concurrent_max > 0) out += fmt::format("concurrent_max = {}\n", wish.concurrent_max);
  if (wish.budget_usd_per_day > 0) out += fmt::format("budget_usd_per_day = {}\n", wish.budget_usd_per_day);
  return out;
}

int make_key(const KeyWish& wish) {
  const std::string key = new_key();
  if (key.empty()) {
    fmt::print(stderr, "permutation: the system gives no random bytes\n");
    return kExitFailed;
  }
  const std::string sha256 = base::sha256(key).hex();
  if (wish.json) {
    fmt::print("{}\n",
               nlohmann::json{{"key", key}, {"sha256", sha256}, {"toml", toml_of(wish, sha256)}}.dump());
    return kExitDone;
  }
  fmt::print(
      "The key, shown this once; give it to whoever calls the server:\n\n  {}\n\nFor the server's config "
      "file, which holds only its hash:\n\n{}",
      key, toml_of(wish, sha256));
  return kExitDone;
}

}  // namespace

void add_keys(CLI::App& root, Command& chosen) {
  CLI::App* const keys = root.add_subcommand("keys", "API keys");
  keys->require_subcommand(1);
  CLI::App* const command =
      keys->add_subcommand("new", "Makes a key: prints it once, and its hash for the config");
  const auto wish = std::make_shared<KeyWish>();
  command->add_option("--name", wish->name, "Who uses it, for logs and metrics [my-key]");
  command->add_option("--tenant", wish->tenant, "Keys of one tenant share caches; others can't see them");
  command->add_option("--scope", wish->scopes, "What it opens; may be given several times [inference]")
      ->check(CLI::IsMember({"inference", "cache", "knowledge", "admin"}));
  command->add_option("--requests-per-minute", wish->requests_per_minute, "0: no limit")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--tokens-per-minute", wish->tokens_per_minute, "0: no limit")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--concurrent-max", wish->concurrent_max, "Requests at once; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--budget-usd-per-day", wish->budget_usd_per_day, "Dollars it may spend; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--json", wish->json, "The same as JSON");
  add_examples(*command, {"permutation keys new --name ann",
                          "permutation keys new --tenant a --scope inference "
                          "--scope cache --budget-usd-per-day 5"});
  command->callback([&chosen, wish] { chosen = [wish] { return make_key(*wish); }; });
}

}  // namespace pmt::app
