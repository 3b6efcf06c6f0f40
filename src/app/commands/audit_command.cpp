// permutation audit: which cache is used where, from a running server's live counters.
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "app/commands/audit_view.h"
#include "app/commands/commands.h"
#include "app/commands/examples.h"
#include "app/commands/report_error.h"
#include "app/commands/server_call.h"

namespace pmt::app {

namespace {

struct AuditOptions {
  ServerAddress server{.url = kDefaultUrl};
  bool json = false;
};

int print_audit(const AuditOptions& options) {
  const auto body = server_call(options.server, "GET", "/v1/audit");
  if (!body) return report_by_code(body.error());
  if (options.json) {
    fmt::print("{}\n", body->dump(2));
    return kExitDone;
  }
  const auto audit = audit_from_json(*body);
  if (!audit) return report_error(audit.error());
  fmt::print("{}", audit::to_text(*audit));
  return kExitDone;
}

}  // namespace

void add_audit(CLI::App& root, Command& chosen) {
  CLI::App* audit =
      root.add_subcommand("audit", "Which cache is used where, from a running server's counters");
  const auto options = std::make_shared<AuditOptions>();
  add_server_options(*audit, options->server);
  audit->add_flag("--json", options->json, "Print JSON");
  add_examples(*audit, {"permutation audit", "permutation audit --url http://127.0.0.1:9000 --json"});
  audit->callback([&chosen, options] { chosen = [options] { return print_audit(*options); }; });
}

}  // namespace pmt::app
