// What a page of HTML says, as Markdown-like text: headings, list items and paragraphs on lines of their own, without
// scripts, styles and the page's head. A reader for documents, no browser: nothing is fetched or run, and what isn't
// HTML comes out as it is.
// Thread-safety: pure function. Cost: one pass.
#pragma once

#include <string>
#include <string_view>

namespace pmt::text {

std::string text_of_html(std::string_view html);

}  // namespace pmt::text
