#include "dashboard/page.h"

#include <string>
#include <string_view>

#include "base/hash.h"
#include "dashboard/embedded_file.h"

namespace pmt::dashboard {

// Of the generated source: the document, its style, and the parts of its script in their order.
// NOLINTBEGIN(readability-identifier-naming): named by the generator
extern const EmbeddedFile k_files[];
extern const std::size_t k_files_count;
// NOLINTEND(readability-identifier-naming)

namespace {

std::string base64(const base::Digest& digest) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  const auto byte = [&digest](std::size_t i) { return i < 32 ? unsigned{digest.bytes[i]} : 0U; };
  for (std::size_t i = 0; i < 33; i += 3) {
    const unsigned triple = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
    for (int shift = 18; shift >= 0; shift -= 6) out += kDigits[triple >> static_cast<unsigned>(shift) & 63U];
  }
  out.back() = '=';  // 32 bytes are ten triples and two
  return out;
}

void replace(std::string& text, std::string_view what, std::string_view by) {
  if (const std::size_t at = text.find(what); at != std::string::npos) text.replace(at, what.size(), by);
}

net::HttpResponse make_page() {
  std::string html(k_files[0].bytes, k_files[0].size), js;
  const std::string css(k_files[1].bytes, k_files[1].size);
  for (std::size_t i = 2; i < k_files_count; ++i) js.append(k_files[i].bytes, k_files[i].size);
  replace(html, "/*style*/", css);
  replace(html, "/*script*/", js);
  const std::string policy = "default-src 'none'; script-src 'sha256-" + base64(base::sha256(js)) +
                             "'; style-src 'sha256-" + base64(base::sha256(css)) +
                             "'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                             "frame-ancestors 'none'";
  return {200,
          {{"content-type", "text/html; charset=utf-8"},
           {"content-security-policy", policy},
           {"x-content-type-options", "nosniff"},
           {"referrer-policy", "no-referrer"},
           {"cache-control", "no-cache"}},
          std::move(html)};
}

}  // namespace

net::HttpResponse page() {
  static const net::HttpResponse kPage = make_page();
  return kPage;
}

}  // namespace pmt::dashboard
