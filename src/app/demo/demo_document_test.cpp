#include "app/demo/demo_document.h"

#include <gtest/gtest.h>

namespace pmt::app {
namespace {

TEST(DemoDocument, PlantsTheFactOnceNearTheMiddle) {
  const DemoDocument document = demo_document(7, 60);
  const std::size_t at = document.text.find(document.answer + ".");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(document.text.find("Marlow"), document.text.rfind("Marlow"));
  EXPECT_GT(at, document.text.size() / 3);
  EXPECT_LT(at, document.text.size() * 2 / 3);
}

TEST(DemoDocument, IsASeedsOwn) {
  EXPECT_EQ(demo_document(7, 60).text, demo_document(7, 60).text);
  EXPECT_NE(demo_document(7, 60).text, demo_document(8, 60).text);
}

}  // namespace
}  // namespace pmt::app
