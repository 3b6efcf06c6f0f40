#include "net/content_coding.h"

#include <algorithm>
#include <array>
#include <memory>

#include <zlib.h>
#include <zstd.h>

#include <fmt/format.h>
#include <boost/beast/core/string.hpp>

namespace pmt::net {
namespace {

constexpr std::size_t kFreeBytes = 1 << 20;  // output that any input may have
constexpr std::size_t kRatioMax = 100;       // above that
constexpr std::size_t kPieceBytes = 64 * 1024;
constexpr int kZlibWindow = 15, kGzipWindow = kZlibWindow + 16;  // zlib's way of asking for gzip's format
constexpr int kZstdWindowLogMax = 23;
using Piece = std::array<char, kPieceBytes>;

bool same(std::string_view a, std::string_view b) {
  return boost::beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

base::Error broken(std::string_view coding, std::string_view why) {
  return base::invalid(
      fmt::format("The body's content-encoding is {}, but it can't be decoded: {}.", coding, why));
}

/// What was decoded so far, within its limits.
class Output {
 public:
  Output(std::size_t encoded_bytes, std::size_t bytes_max)
      : bytes_max_(bytes_max), by_ratio_(std::max(kFreeBytes, encoded_bytes * kRatioMax)) {}

  base::Status append(std::string_view piece) {
    if (text_.size() + piece.size() > bytes_max_) {
      return base::Error{
          base::Code::kTooLarge,
          fmt::format("The request body is larger than the limit of {} bytes once it is decoded.",
                      bytes_max_)};
    }
    if (text_.size() + piece.size() > by_ratio_) {
      return base::Error{
          base::Code::kTooLarge,
          fmt::format("The request body decodes to more than {} times its size; the limit is {} "
                      "bytes for this one. Send it without content-encoding.",
                      kRatioMax, by_ratio_)};
    }
    text_.append(piece);
    return {};
  }
  std::string take() { return std::move(text_); }

 private:
  const std::size_t bytes_max_, by_ratio_;
  std::string text_;
};

struct Inflater {
  Inflater(int window, std::string_view body) {
    stream.next_in =
        reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));  // zlib's interface; not written to
    ready = inflateInit2(&stream, window) == Z_OK;
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream stream{};
  bool ready = false;
};

/// gzip's format may hold several members, one after the other.
base::Status inflate_all(std::string_view coding, int window, std::string_view body, Output& out) {
  Inflater inflater(window, body);
  z_stream& stream = inflater.stream;
  if (!inflater.ready) return base::Error{base::Code::kInternal, "zlib can't start: out of memory"};
  std::size_t left = body.size();
  auto piece = std::make_unique<Piece>();
  for (;;) {
    const uInt offered = static_cast<uInt>(std::min<std::size_t>(left, 1U << 30));
    stream.avail_in = offered;
    stream.next_out = reinterpret_cast<Bytef*>(piece->data());
    stream.avail_out = kPieceBytes;
    const int state = inflate(&stream, Z_NO_FLUSH);
    left -= offered - stream.avail_in;
    TRY(out.append({piece->data(), kPieceBytes - stream.avail_out}));
    if (state == Z_STREAM_END) {
      if (left == 0) return {};
      if (window != kGzipWindow || inflateReset(&stream) != Z_OK)
        return broken(coding, "something follows its end");
    } else if (state == Z_BUF_ERROR || (state == Z_OK && left == 0 && stream.avail_out > 0)) {
      return broken(coding, "it is cut off");
    } else if (state != Z_OK) {
      return broken(coding, stream.msg != nullptr ? stream.msg : "it is something else");
    }
  }
}

base::Status unzstd(std::string_view body, Output& out) {
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (!context) return base::Error{base::Code::kInternal, "zstd can't start: out of memory"};
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax);
  auto piece = std::make_unique<Piece>();
  ZSTD_inBuffer in{body.data(), body.size(), 0};
  for (;;) {
    ZSTD_outBuffer decoded{piece->data(), piece->size(), 0};
    const std::size_t wanted = ZSTD_decompressStream(context.get(), &decoded, &in);
    if (ZSTD_isError(wanted) != 0) return broken("zstd", ZSTD_getErrorName(wanted));
    TRY(out.append({piece->data(), decoded.pos}));
    if (wanted == 0 && in.pos == in.size) return {};
    if (in.pos == in.size && decoded.pos < decoded.size) return broken("zstd", "it is cut off");
  }
}

}  // namespace

bool is_content_coding(std::string_view coding) {
  return same(coding, "gzip") || same(coding, "x-gzip") || same(coding, "deflate") || same(coding, "zstd");
}

base::Result<std::string> decode_content(std::string_view coding, std::string_view body,
                                         std::size_t bytes_max) {
  Output out(body.size(), bytes_max);
  if (same(coding, "zstd")) {
    TRY(unzstd(body, out));
  } else if (same(coding, "deflate")) {
    TRY(inflate_all("deflate", kZlibWindow, body, out));
  } else {
    TRY(inflate_all("gzip", kGzipWindow, body, out));
  }
  return out.take();
}

}  // namespace pmt::net
