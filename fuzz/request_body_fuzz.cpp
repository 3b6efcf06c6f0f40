// A request's body before it is read: the first byte chooses the headers, the rest is the body.
#include "api/request_body.h"
#include "fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr const char* kEncodings[] = {"gzip", "zstd",       "deflate", "br",
                                               "",     "gzip, zstd", "x-gzip",  "identity"};
  static constexpr const char* kTypes[] = {"application/json", "", "application/x-www-form-urlencoded",
                                           "multipart/form-data"};
  constexpr std::size_t kBytesMax = 1 << 20;
  if (size == 0) return 0;
  pmt::net::HttpRequest request;
  request.path = (data[0] & 32) != 0 ? "/v1/knowledge/import" : "/v1/chat/completions";
  request.headers = {{"content-encoding", kEncodings[data[0] & 7]},
                     {"content-type", kTypes[(data[0] >> 3) & 3]}};
  request.body = pmt::fuzz::text_of(data + 1, size - 1);
  const std::string before = request.body;
  const auto refusal = pmt::api::prepare_body(request, kBytesMax);
  if (refusal) {
    pmt::fuzz::require(refusal->status == 400 || refusal->status == 413 || refusal->status == 415,
                       "a refusal is one of three");
  } else {
    pmt::fuzz::require(request.body.size() <= kBytesMax || request.body.size() <= before.size(),
                       "what was decoded keeps to its limit");
  }
  return 0;
}
