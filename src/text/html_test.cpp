#include "text/html.h"

#include <gtest/gtest.h>

namespace pmt::text {
namespace {

TEST(Html, BecomesHeadingsListsAndParagraphs) {
  EXPECT_EQ(text_of_html(
                "<!doctype html><html><head><title>x</title></head><body>\n<h1>Leave &amp; pay</h1>"
                "<p>Twenty   days\nof <b>leave</b>.<p>Parents: six&nbsp;months.<ul><li>one</li><li>two</ul>"
                "<script>if (a < b) c();</script><!-- <p>no</p> --><table><tr><td>a<td>b</tr></table>"),
            "# Leave & pay\n\nTwenty days of leave.\n\nParents: six months.\n\n- one\n- two\n\na b");
}

TEST(Html, KeepsWhatIsNone) {
  EXPECT_EQ(text_of_html("a < b && c &unknown; d"), "a < b && c &unknown; d");
  EXPECT_EQ(text_of_html("<pre>a\n  b</pre>"), "a\n  b");
  EXPECT_EQ(text_of_html("&#8211;&#x41;&#0;&#xD800;"), "\u2013A&#0;&#xD800;");
  EXPECT_EQ(text_of_html("<a title=\"x > y\">z</a>"), "z");
  EXPECT_EQ(text_of_html("<"), "<");
  EXPECT_EQ(text_of_html("<script>never ended"), "");
}

}  // namespace
}  // namespace pmt::text
