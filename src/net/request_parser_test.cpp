#include "net/request_parser.h"

#include <gtest/gtest.h>

namespace pmt::net {
namespace {

constexpr RequestParser::Limits kLimits{.header_bytes_max = 1024, .body_bytes_max = 4096};
constexpr std::string_view kChunked =
    "POST /v1/echo?a=1 HTTP/1.1\r\nHost: x\r\nX-Long: one\r\n two\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;ext=1\r\nhello\r\n6\r\n world\r\n0\r\nX-Trailer: t\r\n\r\n";

/// Feeds `bytes` in pieces as a connection would; returns how many bytes were left over.
std::size_t feed(RequestParser* parser, std::string_view bytes, std::size_t piece) {
  std::string backlog;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    backlog.append(bytes.substr(at, piece));
    if (parser->done() || parser->rejection()) continue;
    backlog.erase(0, parser->parse(backlog));
  }
  return backlog.size();
}

int status_for(std::string_view bytes, std::size_t piece = 1 << 20) {
  RequestParser parser(kLimits);
  feed(&parser, bytes, piece);
  if (parser.rejection()) return parser.rejection()->status;
  return parser.done() ? 200 : 0;
}

TEST(RequestParser, ReadsTheSameRequestInPiecesOfAnySize) {
  const std::string stream = "\r\n" + std::string(kChunked) + "GET / HTTP/1.1\r\n";
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    RequestParser parser(kLimits);
    EXPECT_EQ(feed(&parser, stream, piece), 16u);
    ASSERT_TRUE(parser.done()) << "pieces of " << piece;
    EXPECT_TRUE(parser.keep_alive());
    const HttpRequest request = parser.take_request();
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.path, "/v1/echo");
    EXPECT_EQ(request.query_value("a"), "1");
    EXPECT_EQ(request.header("x-long"), "one two");
    EXPECT_EQ(request.header("x-trailer"), "") << "a trailer is no header";
    EXPECT_EQ(request.body, "hello world");
  }
}

TEST(RequestParser, TheEndOfAChunkedBodyMayComeInPieces) {
  const std::string head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
  for (const std::string_view body : {"0\r\n\r\n", "1\r\n0\r\n0\r\n\r\n", "00;a=b\r\nx: 0\r\n\r\n"}) {
    for (std::size_t piece = 1; piece <= body.size(); ++piece) {
      RequestParser parser(kLimits);
      feed(&parser, head, head.size());
      EXPECT_EQ(feed(&parser, body, piece), 0u);
      EXPECT_TRUE(parser.done()) << body << " in pieces of " << piece;
    }
  }
}

TEST(RequestParser, RefusesWhatIsNotHttp) {
  for (const std::string_view bytes : {
           "nonsense\r\n\r\n",
           "GET / HTTP/9.9\r\nhost: x\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nhost: localhost\r\nHost: attacker.example\r\n\r\n",
           "GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n",
           "GET / HTTP/1.0\r\nhost: x\r\nhost: x\r\n\r\n",
           "GET /%zz HTTP/1.1\r\nhost: x\r\n\r\n",
           "GET / HTTP/1.1\r\nhost: x\r\nbad header: y\r\n\r\n",
           "GET / HTTP/1.1\r\nhost: x\nfoo: y\r\n\r\n",
           "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
           "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
           "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
           "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
           "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
       }) {
    EXPECT_EQ(status_for(bytes), 400) << bytes;
    EXPECT_EQ(status_for(bytes, 1), 400) << bytes;
  }
}

TEST(RequestParser, TheHostOfAnAbsoluteTargetCounts) {
  const auto host_of = [](std::string_view head) {
    RequestParser parser(kLimits);
    feed(&parser, head, head.size());
    EXPECT_TRUE(parser.done());
    return std::string(parser.take_request().header("host"));
  };
  EXPECT_EQ(host_of("GET http://attacker.example/v1/cache HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
            "attacker.example");
  EXPECT_EQ(host_of("GET http://attacker.example:8080 HTTP/1.0\r\n\r\n"), "attacker.example:8080");
  EXPECT_EQ(host_of("GET /a?b=http://attacker.example HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), "127.0.0.1");
}

TEST(RequestParser, RefusesOtherTransferEncodings) {
  EXPECT_EQ(status_for("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip\r\n\r\n"), 501);
  EXPECT_EQ(status_for("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: gzip, chunked\r\n\r\n"), 501);
}

TEST(RequestParser, KeepsToItsLimits) {
  const std::string start = "POST / HTTP/1.1\r\nhost: x\r\n";
  const std::string chunked = start + "transfer-encoding: chunked\r\n\r\n";
  std::string many;
  for (int i = 0; i < 100; ++i) many += "x-header-" + std::to_string(i) + ": value\r\n";
  EXPECT_EQ(status_for("GET /" + std::string(2000, 'a') + " HTTP/1.1\r\n\r\n"), 431);
  EXPECT_EQ(status_for(start + many + "\r\n"), 431);
  EXPECT_EQ(status_for(start + many, 7), 431);
  EXPECT_EQ(status_for(start + "content-length: 4097\r\n\r\n"), 413) << "before the body comes";
  EXPECT_EQ(status_for(chunked + "1001\r\n"), 413);
  EXPECT_EQ(status_for(chunked + "800\r\n" + std::string(2048, 'a') + "\r\n801\r\n"), 413);
  EXPECT_EQ(status_for(chunked + "1;" + std::string(20'000, 'e'), 1000), 400);
  EXPECT_EQ(status_for(chunked + "0\r\nx: " + std::string(20'000, 't'), 1000), 400);
}

TEST(RequestParser, FollowsKeepAliveOfEachVersion) {
  const auto keeps = [](std::string_view bytes) {
    RequestParser parser(kLimits);
    feed(&parser, bytes, bytes.size());
    EXPECT_TRUE(parser.done());
    return parser.keep_alive();
  };
  EXPECT_TRUE(keeps("GET / HTTP/1.1\r\nhost: x\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.1\r\nhost: x\r\nConnection: Close\r\n\r\n"));
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"));
}

TEST(RequestParser, SeesWhoWaitsForContinue) {
  RequestParser parser(kLimits);
  feed(&parser, "POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-Continue\r\ncontent-length: 2\r\n\r\n", 1000);
  EXPECT_TRUE(parser.header_done());
  EXPECT_TRUE(parser.expects_continue());
  feed(&parser, "a", 1);
  EXPECT_FALSE(parser.expects_continue());
}

}  // namespace
}  // namespace pmt::net
