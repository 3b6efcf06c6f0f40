// Bodies as they come, through the real server: what is read, and what is refused for what it is.
#include "api/request_body.h"

#include <gmock/gmock.h>

#include "api/test_server.h"
#include "net/test_packing.h"

namespace pmt::api {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using std::string_literals::operator""s;

constexpr char kEntry[] = R"({"value": "kept", "tags": ["é"]})";

class Body : public TestServer {
 protected:
  void adjust(ApiOptions& options) override { options.body_bytes_max = 100'000; }
  net::ClientResponse put(const std::string& body, const net::Headers& headers = {}) {
    return send("PUT", "/v1/cache/entries/k", body, headers);
  }
  void expect_refused(int status, const std::string& part, const std::string& body,
                      const net::Headers& headers = {}) {
    const auto response = put(body, headers);
    EXPECT_EQ(response.status, status) << part;
    EXPECT_THAT(error_of(response)["message"].get<std::string>(), HasSubstr(part));
    EXPECT_EQ(error_of(response)["type"], "invalid_request_error");
    EXPECT_NE(response.header("x-request-id"), "");
    EXPECT_EQ(send("GET", "/v1/cache/entries/k").status, 404) << part << ": nothing may be stored";
  }
};

TEST_F(Body, CompressedBodiesAreRead) {
  const net::Headers gzip = {{"content-encoding", "gzip"}},
                     loud = {{"Content-Encoding", " X-GZIP ,identity"}},
                     deflate = {{"content-encoding", "deflate"}}, zstd = {{"content-encoding", "zstd"}};
  EXPECT_EQ(put(net::deflated(kEntry), gzip).status, 200);
  EXPECT_EQ(put(net::deflated(kEntry), loud).status, 200);
  EXPECT_EQ(put(net::deflated(kEntry, net::ZlibFormat::kZlib), deflate).status, 200);
  EXPECT_EQ(put(net::zstd_of(kEntry), zstd).status, 200);
  EXPECT_EQ(put(net::zstd_of("\xEF\xBB\xBF"s + kEntry), zstd).status, 200);
  EXPECT_EQ(put(kEntry, {{"content-encoding", "identity"}}).status, 200);
  EXPECT_EQ(put(kEntry, {{"content-encoding", ""}}).status, 200);
  EXPECT_EQ(nlohmann::json::parse(send("GET", "/v1/cache/entries/k").body)["value"], "kept");
}

TEST_F(Body, OtherEncodingsAre415AndNamed) {
  for (const char* coding : {"br", "compress", "gzip, gzip", "zstd,gzip", "aws-chunked", "utf-8", "*"}) {
    const net::Headers headers = {{"content-encoding", coding}};
    EXPECT_EQ(put(kEntry, headers).header("accept-encoding"), "gzip, deflate, zstd");
    expect_refused(415, "content-encoding '", kEntry, headers);
  }
  expect_refused(415, "'br'", kEntry, {{"content-encoding", "br"}});
  expect_refused(415, "gzip, zstd", net::deflated(kEntry),
                 {{"content-encoding", "gzip"}, {"content-encoding", "zstd"}});
}

TEST_F(Body, ADamagedOneIs400AndOneTooLargeIs413) {
  expect_refused(400, "gzip", kEntry, {{"content-encoding", "gzip"}});
  expect_refused(400, "cut off", net::zstd_of(kEntry).substr(0, 12), {{"content-encoding", "zstd"}});
  const std::string large = R"({"value": ")" + std::string(100'000, 'x') + "\"}";
  expect_refused(413, "limit of 100000 bytes", net::deflated(large), {{"content-encoding", "gzip"}});
}

TEST_F(Body, AByteOrderMarkIsSkipped) {
  EXPECT_EQ(put("\xEF\xBB\xBF"s + kEntry).status, 200);
  const auto asked = send("POST", "/v1/completions", "\xEF\xBB\xBF{}");
  EXPECT_THAT(error_of(asked)["message"].get<std::string>(), HasSubstr("model"));
}

TEST_F(Body, TextInAnotherUnicodeFormIsNamed) {
  const auto widened = [](std::size_t before, std::size_t after) {
    std::string out;
    for (const char c : R"({"value": 1})"s) out += std::string(before, '\0') + c + std::string(after, '\0');
    return out;
  };
  expect_refused(400, "UTF-16 (little-endian)", widened(0, 1));
  expect_refused(400, "UTF-16 (big-endian)", widened(1, 0));
  expect_refused(400, "UTF-32 (little-endian)", widened(0, 3));
  expect_refused(400, "UTF-32 (big-endian)", widened(3, 0));
  expect_refused(400, "UTF-16 (little-endian)", "\xFF\xFE"s + widened(0, 1));
  expect_refused(400, "UTF-16 (big-endian)", "\xFE\xFF"s + widened(1, 0));
  expect_refused(400, "UTF-32 (little-endian)", "\xFF\xFE\0\0"s + widened(0, 3));
  expect_refused(400, "UTF-32 (big-endian)", "\0\0\xFE\xFF"s + widened(3, 0));
}

TEST_F(Body, PackedWithoutSayingSoIsNamed) {
  expect_refused(400, "content-encoding: gzip", net::deflated(kEntry));
  expect_refused(400, "content-encoding: zstd", net::zstd_of(kEntry));
  expect_refused(400, "content-encoding: gzip", net::deflated(net::deflated(kEntry)),
                 {{"content-encoding", "gzip"}});
}

TEST_F(Body, AnotherTypeIs415AndJsonIsReadWhateverItsTypeSays) {
  for (const char* type :
       {"", "application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json",
        "application/x-www-form-urlencoded", "text/plain", "application/octet-stream", "text/html"})
    EXPECT_EQ(put(kEntry, {{"content-type", type}}).status, 200) << type;
  EXPECT_EQ(send("DELETE", "/v1/cache/entries/k").status, 200);
  expect_refused(415, "multipart/form-data",
                 "--x\r\ncontent-disposition: form-data; name=\"value\"\r\n\r\n1\r\n--x--\r\n",
                 {{"content-type", "multipart/form-data; boundary=x"}});
  expect_refused(415, "application/x-www-form-urlencoded", "value=1&tags=a",
                 {{"content-type", "application/x-www-form-urlencoded"}});
  expect_refused(415, "application/xml", "<value>1</value>", {{"content-type", "application/xml"}});
  for (const char* yaml : {"value: 1", "name: x", "- 1", "true"})
    expect_refused(415, "application/yaml", yaml, {{"content-type", "application/yaml"}});
  expect_refused(415, "application/msgpack", "\x81\xA5value\x01", {{"content-type", "application/msgpack"}});
  expect_refused(400, "not valid JSON", "value: 1", {{"content-type", "application/json"}});
  expect_refused(400, "not valid JSON", R"({"a=b": )",
                 {{"content-type", "application/x-www-form-urlencoded"}});
}

TEST(PrepareBody, BytesForARouteOfBytesStayAsTheyAre) {
  for (const std::string& bytes : {"\xEF\xBB\xBFpack"s, "\x1F\x8Bpack"s, "p\0\0\0ack"s, "pmtknow2=x"s}) {
    net::HttpRequest request;
    request.path = "/v1/knowledge/import";
    request.headers = {{"content-type", "application/x-www-form-urlencoded"}};
    request.body = bytes;
    EXPECT_FALSE(prepare_body(request, 1000));
    EXPECT_EQ(request.body, bytes);
    request.body = net::deflated(bytes);
    request.headers = {{"content-encoding", "gzip"}};
    EXPECT_FALSE(prepare_body(request, 1000));
    EXPECT_EQ(request.body, bytes);
  }
}

}  // namespace
}  // namespace pmt::api
