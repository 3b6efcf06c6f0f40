#include "inference/prefix_scope.h"

#include <gtest/gtest.h>

namespace pmt::inference {
namespace {

TEST(PrefixScope, TenantsAndKnowledgeAreApart) {
  const auto scope = [](const std::string& tenant, const std::vector<std::string>& knowledge) {
    llm::Request request;
    request.tenant = tenant;
    request.knowledge = knowledge;
    return prefix_scope(request);
  };
  EXPECT_EQ(scope("a", {"x"}), scope("a", {"x"}));
  EXPECT_NE(scope("a", {}), scope("b", {}));
  EXPECT_NE(scope("a", {"x"}), scope("a", {}));
  EXPECT_NE(scope("a1:b", {}), scope("a", {"b"})) << "no name passes for two";
}

}  // namespace
}  // namespace pmt::inference
