#include "app/commands/audit_view.h"

#include <gtest/gtest.h>

namespace pmt::app {
namespace {

TEST(AuditView, RendersWhatTheServerRendered) {
  base::UsageCounter usage;
  usage.add(base::Surface::kPermutation, 1'700'000'000, {.n = 3});
  const audit::Audit audit = audit::build_audit({
      {.name = "response cache",
       .built = true,
       .self_test = [] { return std::optional<std::string>(); },
       .usage = &usage,
       .counter_name = "hits",
       .off_reason =
           [](base::Surface s) {
             return s == base::Surface::kRlm ? std::optional<std::string>("not built yet") : std::nullopt;
           },
       .on_by_default = true},
      {.name = "knowledge cache"},
  });
  const auto back = audit_from_json(audit::to_json(audit));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(audit::to_text(*back), audit::to_text(audit));
}

TEST(AuditView, AnythingElseIsAnError) {
  EXPECT_FALSE(audit_from_json(nlohmann::json::object()));
  EXPECT_FALSE(audit_from_json({{"verdict", "x"}, {"caches", {{{"name", "y"}}}}}));
}

}  // namespace
}  // namespace pmt::app
