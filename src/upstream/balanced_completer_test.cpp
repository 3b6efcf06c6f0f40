// Three real servers on loopback behind one name: each answers, refuses, holds a stream or breaks off as told, and
// one is ended in the middle.
#include "upstream/balanced_completer.h"

#include <array>
#include <atomic>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>

#include <gmock/gmock.h>

#include "llm/sinks.h"
#include "net/sse.h"
#include "net/test_peer.h"

namespace pmt::upstream {
namespace {

using base::Code;
using json = nlohmann::json;
using ::testing::HasSubstr;
using ResponderPtr = std::shared_ptr<net::Responder>;

constexpr std::size_t kServers = 3;

std::string chunk(const json& delta, const char* finish = nullptr) {
  json choice = {{"index", 0}, {"delta", delta}};
  if (finish != nullptr) choice["finish_reason"] = finish;
  return net::sse_event(json{{"id", "x"}, {"created", 5}, {"choices", {choice}}}.dump());
}

enum class Does { kAnswers, kFails, kRefuses, kBusy, kHolds, kBreaks };

/// A server that keeps what it was asked.
class Scripted {
 public:
  explicit Scripted(std::uint16_t port = 0) { start(port); }
  ~Scripted() { stop(); }
  Scripted(const Scripted&) = delete;
  Scripted& operator=(const Scripted&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/v1"; }
  void stop() {
    if (server_) server_->stop(0);
    server_.reset();
  }
  void start_again() { start(port_); }
  /// The first questions of the conversations that it was asked since it was asked this last.
  std::vector<std::string> asked() {
    const std::lock_guard lock(mutex_);
    return std::exchange(asked_, {});
  }
  /// Ends the answers that it holds.
  void let_go() {
    const std::lock_guard lock(mutex_);
    for (const ResponderPtr& responder : held_) {
      responder->write(chunk({{"content", " end"}}) + chunk(json::object(), "stop") +
                       net::sse_event("[DONE]"));
      responder->finish_stream();
    }
    held_.clear();
  }
  std::size_t held() {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }

  std::atomic<Does> does{Does::kAnswers};
  std::atomic<int> fails_first{0};  // so many times, then as `does` says
  std::atomic<int> health{200}, models{200}, probes{0};

 private:
  void start(std::uint16_t port) {
    auto started = net::HttpServer::start(
        {.port = port}, [this](const net::HttpRequest& request, const ResponderPtr& responder) {
          if (request.method == "GET") return probe(request, responder);
          answer(request, responder);
        });
    if (!started) {
      ADD_FAILURE() << started.error().message;
      std::abort();
    }
    server_ = std::move(*started);
    port_ = server_->port();
  }
  void probe(const net::HttpRequest& request, const ResponderPtr& responder) {
    ++probes;
    responder->send({request.path == "/health" ? health : models, {}, "{}"});
  }
  void answer(const net::HttpRequest& request, const ResponderPtr& responder) {
    const json body = json::parse(request.body);
    const std::lock_guard lock(mutex_);
    asked_.push_back(body.contains("messages") ? body["messages"][0]["content"] : body["input"]);
    if (fails_first > 0) {
      --fails_first;
      return responder->send({500, {}, "not yet"});
    }
    if (does == Does::kFails) return responder->send({500, {}, "no"});
    if (does == Does::kBusy) return responder->send({429, {{"retry-after", "40"}}, "slow down"});
    if (does == Does::kRefuses) return responder->send({400, {}, R"({"error":{"message":"bad"}})"});
    if (!body.contains("messages")) return responder->send({200, {}, R"({"model":"real","data":[]})"});
    responder->start_stream({200, {{"content-type", "text/event-stream"}}, chunk({{"content", "begin"}})});
    if (does == Does::kHolds) return held_.push_back(responder);
    if (does == Does::kBreaks) {
      responder->write(R"(data: {"choi)");
      return responder->finish_stream();
    }
    responder->write(chunk({{"content", " end"}}) + chunk(json::object(), "stop") + net::sse_event("[DONE]"));
    responder->finish_stream();
  }

  std::mutex mutex_;
  std::vector<std::string> asked_;  // guarded by mutex_, like
  std::vector<ResponderPtr> held_;
  std::uint16_t port_ = 0;
  std::unique_ptr<net::HttpServer> server_;
};

class BalancedTest : public testing::Test {
 protected:
  void TearDown() override {
    if (pool_) pool_->stop();
    client_->stop();
  }
  /// Down after one failure, for ever unless a probe says otherwise; no probe within a test unless it asks.
  ServerPoolOptions pool_options() const {
    ServerPoolOptions out{
        .name = "p", .servers = {}, .cooldown = {.failures = 1, .cooldown_s = 1e6}, .probe_interval_s = 1e6};
    for (const Scripted& server : servers_)
      out.servers.push_back({server.url(), *net::parse_url(server.url())});
    return out;
  }
  static RemoteOptions remote_options() {
    RemoteOptions out;
    out.name = "p/m";
    out.provider = "p";
    out.model = "real";
    out.retries = {.attempts_more = 0, .backoff_s = 0.01};
    return out;
  }
  void make(ServerPoolOptions pool, RemoteOptions remote = remote_options()) {
    pool.on_change = [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      told_.push_back(text);
    };
    pool_ = std::make_unique<ServerPool>(std::move(pool), *client_, clock_);
    completer_ = make_balanced_completer(remote, *pool_, *client_, clock_, [] { return 0.5; });
    forwarder_ = make_balanced_forwarder(remote, "/embeddings", *pool_, *client_, clock_, [] { return 0.5; });
  }
  void make() { make(pool_options()); }

  static llm::Request turn(int conversation, int turn) {
    llm::Request request;
    request.model = "p/m";
    request.stream = true;
    const auto add = [&request](const char* role, std::string content) {
      request.messages.push_back(
          {.role = role, .content = std::move(content), .name = {}, .tool_calls = {}, .tool_call_id = {}});
    };
    add("user", "q" + std::to_string(conversation));
    for (int i = 2; i <= turn; ++i) {
      add("assistant", "begin end");
      add("user", "more");
    }
    return request;
  }
  std::shared_ptr<llm::CollectingSink> start(llm::Request request, const base::CancelToken& cancel = {}) {
    auto sink = std::make_shared<llm::CollectingSink>();
    completer_->start(std::move(request), sink, cancel);
    return sink;
  }
  std::vector<llm::Event> ask(llm::Request request) { return start(std::move(request))->wait(); }
  /// The server that answers it, from 0; fails the test where none does.
  std::size_t asks(int conversation, int of_turn) {
    const auto events = ask(turn(conversation, of_turn));
    const auto* done = std::get_if<llm::Done>(&events.back());
    if (done == nullptr) {
      ADD_FAILURE() << std::get<llm::Failed>(events.back()).error.message;
      return kServers;
    }
    EXPECT_EQ(llm::text_of(events), "begin end");
    return done->report.upstream.at("server").get<std::size_t>() - 1;
  }
  static base::Error failure(const std::vector<llm::Event>& events) {
    const auto* failed = std::get_if<llm::Failed>(&events.back());
    return failed == nullptr ? base::Error{Code::kInternal, "it did not fail"} : failed->error;
  }
  /// A conversation whose first turn went to that server.
  int conversation_at(std::size_t server) {
    for (int i = 0; i < 200; ++i) {
      if (asks(i, 1) == server) return i;
    }
    ADD_FAILURE() << "no conversation goes to server " << server;
    return 0;
  }
  template <class Holds>
  static void until(Holds&& holds) {
    for (int i = 0; i < 1000 && !holds(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_TRUE(holds());
  }
  std::string told() {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (const std::string& text : told_) all += text + "\n";
    return all;
  }
  void expect_nothing_in_flight() const {
    for (const ServerStatus& server : pool_->status()) EXPECT_EQ(server.in_flight, 0) << server.url;
  }

  std::array<Scripted, kServers> servers_;
  base::FakeClock clock_;
  std::mutex mutex_;
  std::vector<std::string> told_;  // guarded by mutex_
  // In this order: the client's end ends what the others have running.
  std::unique_ptr<ServerPool> pool_;
  std::unique_ptr<RemoteCompleter> completer_;
  std::unique_ptr<llm::Forwarder> forwarder_;
  std::unique_ptr<net::AsyncClient> client_ = std::move(*net::AsyncClient::create({}));
};

TEST_F(BalancedTest, EachTurnGoesWhereTheFirstWent) {
  make();
  std::set<std::size_t> used;
  for (int i = 0; i < 20; ++i) {
    const std::size_t first = asks(i, 1);
    used.insert(first);
    for (int of_turn = 2; of_turn <= 4; ++of_turn) EXPECT_EQ(asks(i, of_turn), first);
    EXPECT_EQ(servers_[first].asked(), std::vector<std::string>(4, "q" + std::to_string(i)));
  }
  EXPECT_EQ(used.size(), kServers);
  EXPECT_EQ(completer_->stats().requests, 80U);
  EXPECT_EQ(completer_->stats().attempts, 80U);
  EXPECT_EQ(completer_->stats().completed, 80U);
  expect_nothing_in_flight();
}

TEST_F(BalancedTest, QuestionsOnOneDocumentGoWhereItWasRead) {
  make();
  const std::string document(4096, 'd');
  std::set<std::size_t> used;
  for (int i = 0; i < 12; ++i) {
    llm::Request request = turn(0, 1);
    request.messages[0].content = document + " Question " + std::to_string(i);
    const auto events = ask(std::move(request));
    const auto* done = std::get_if<llm::Done>(&events.back());
    ASSERT_NE(done, nullptr);
    used.insert(done->report.upstream.at("server").get<std::size_t>());
  }
  EXPECT_EQ(used.size(), 1U);
}

TEST_F(BalancedTest, AServerThatDiesLosesItsConversationsAndNoOtherMoves) {
  make();
  constexpr int kConversations = 40;
  std::map<int, std::size_t> home;
  for (int i = 0; i < kConversations; ++i) home[i] = asks(i, 1);
  const std::size_t dead = home[0];
  servers_[dead].stop();
  std::map<int, std::size_t> then;
  for (int i = 0; i < kConversations; ++i) {
    then[i] = asks(i, 2);  // every one is answered
    if (home[i] == dead) {
      EXPECT_NE(then[i], dead);
    } else {
      EXPECT_EQ(then[i], home[i]) << i;
    }
  }
  const RemoteStats stats = completer_->stats();
  EXPECT_EQ(stats.failed, 0U);
  EXPECT_EQ(stats.attempts, 2U * kConversations + 1) << "one found it dead; after that nobody asked it";
  EXPECT_TRUE(pool_->status()[dead].down);
  EXPECT_THAT(told(), HasSubstr(servers_[dead].url() + " is down: upstream p: "));

  // Back, and asked again once its wait is over. Who moved stays where his prefix is now; new ones come.
  servers_[dead].start_again();
  clock_.advance(std::chrono::hours(24 * 365));
  for (int i = 0; i < kConversations; ++i) EXPECT_EQ(asks(i, 3), then[i]);
  (void)conversation_at(dead);  // of 200 some are new
  EXPECT_FALSE(pool_->status()[dead].down);
  expect_nothing_in_flight();
}

TEST_F(BalancedTest, ThePathOfARequestThatMovedIsInItsReport) {
  make();
  const int conversation = conversation_at(0);
  servers_[0].does = Does::kFails;
  const auto events = ask(turn(conversation, 2));
  const json report = std::get<llm::Done>(events.back()).report.upstream;
  EXPECT_EQ(report.at("attempts"), 2);
  EXPECT_NE(report.at("server"), 1);
  ASSERT_EQ(report.at("errors").size(), 1U);
  EXPECT_THAT(report.at("errors").at(0).get<std::string>(), HasSubstr("no"));
  EXPECT_EQ(std::get<llm::Started>(events.front()).model, "p/m");
  EXPECT_EQ(completer_->stats().retries, 1U);
}

TEST_F(BalancedTest, WhatHadBegunAndWhatIsTheRequestsOwnFaultIsNotAskedAgain) {
  make();
  const int conversation = conversation_at(1);
  for (Scripted& server : servers_) (void)server.asked();
  servers_[1].does = Does::kBreaks;
  const auto broken = ask(turn(conversation, 2));
  EXPECT_EQ(failure(broken).code, Code::kBadGateway);
  EXPECT_EQ(llm::text_of(broken), "begin");
  EXPECT_TRUE(pool_->status()[1].down);
  EXPECT_EQ(servers_[0].asked().size() + servers_[2].asked().size(), 0U);

  for (Scripted& server : servers_) server.does = Does::kRefuses;
  EXPECT_EQ(failure(ask(turn(conversation, 3))).code, Code::kInvalidArgument);
  EXPECT_EQ(servers_[0].asked().size() + servers_[2].asked().size(), 1U);
  for (const std::size_t other : {0U, 2U}) EXPECT_FALSE(pool_->status()[other].down);
  expect_nothing_in_flight();
}

TEST_F(BalancedTest, ADrainedServerKeepsItsStreamsAndGetsNoMore) {
  make();
  const int conversation = conversation_at(2);
  servers_[2].does = Does::kHolds;
  const auto running = start(turn(conversation, 2));
  until([&] { return servers_[2].held() == 1; });
  ASSERT_TRUE(pool_->set_draining(servers_[2].url(), true));
  EXPECT_TRUE(pool_->status()[2].draining);
  EXPECT_EQ(pool_->status()[2].in_flight, 1);
  const std::size_t other = asks(conversation, 2);
  EXPECT_NE(other, 2U);
  for (int i = 0; i < 30; ++i) EXPECT_NE(asks(i, 1), 2U);
  servers_[2].let_go();
  EXPECT_EQ(llm::text_of(running->wait()), "begin end");
  EXPECT_EQ(pool_->status()[2].in_flight, 0);
  EXPECT_FALSE(pool_->status()[2].down);

  servers_[2].does = Does::kAnswers;
  ASSERT_TRUE(pool_->set_draining(servers_[2].url(), false));
  EXPECT_EQ(asks(conversation, 3), other) << "its prefix is there by now";
  (void)conversation_at(2);
  const base::Status unknown = pool_->set_draining("http://else", true);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, Code::kNotFound);
  EXPECT_THAT(unknown.error().message, HasSubstr(servers_[1].url()));
}

TEST_F(BalancedTest, NobodyTakesRequests) {
  make();
  for (const Scripted& server : servers_) ASSERT_TRUE(pool_->set_draining(server.url(), true));
  const base::Error drained = failure(ask(turn(1, 1)));
  EXPECT_EQ(drained.code, Code::kUnavailable);
  EXPECT_THAT(drained.message,
              HasSubstr("upstream p: none of its 3 servers takes requests: 3 drained, 0 down"));
  ASSERT_TRUE(pool_->set_draining(servers_[0].url(), false));
  servers_[0].does = Does::kFails;
  EXPECT_THAT(failure(ask(turn(1, 1))).message, HasSubstr("upstream p: "));
  const base::Error down = failure(ask(turn(1, 1)));
  EXPECT_THAT(down.message, HasSubstr("2 drained, 1 down"));
  EXPECT_GT(down.retry_after_s, 0);
  EXPECT_GT(completer_->cooling_s(), 0);
  EXPECT_EQ(servers_[0].asked().size(), 1U) << "the second request asked nobody";
}

TEST_F(BalancedTest, AllFailOnceAndThenOneAnswers) {
  ServerPoolOptions pool = pool_options();
  pool.cooldown.failures = 0;  // none is ever left alone
  RemoteOptions remote = remote_options();
  remote.retries.attempts_more = 2;
  make(std::move(pool), remote);
  for (Scripted& server : servers_) server.fails_first = 1;
  EXPECT_LT(asks(1, 1), kServers);
  EXPECT_EQ(completer_->stats().attempts, 4U);
  for (Scripted& server : servers_) server.does = Does::kFails;
  EXPECT_THAT(failure(ask(turn(1, 1))).message, HasSubstr("(5 attempts)"));
  for (const ServerStatus& server : pool_->status()) EXPECT_FALSE(server.down);
  expect_nothing_in_flight();
}

TEST_F(BalancedTest, LeastBusyGoesWhereNobodyWaits) {
  ServerPoolOptions pool = pool_options();
  pool.choice.balance = Balance::kLeastBusy;
  make(std::move(pool));
  for (Scripted& server : servers_) server.does = Does::kHolds;
  std::vector<std::shared_ptr<llm::CollectingSink>> running;
  for (int i = 0; i < 6; ++i) running.push_back(start(turn(1, 1)));
  for (Scripted& server : servers_) until([&] { return server.held() == 2; });
  servers_[1].let_go();
  until([&] { return pool_->status()[1].in_flight == 0; });
  running.push_back(start(turn(1, 1)));
  running.push_back(start(turn(1, 1)));
  until([&] { return servers_[1].held() == 2; });
  for (Scripted& server : servers_) server.let_go();
  for (const auto& sink : running) EXPECT_EQ(llm::text_of(sink->wait()), "begin end");
  expect_nothing_in_flight();
}

TEST_F(BalancedTest, AHotConversationIsSharedOut) {
  make();
  for (Scripted& server : servers_) server.does = Does::kHolds;
  std::vector<std::shared_ptr<llm::CollectingSink>> running;
  constexpr int kRequests = 24;
  for (int i = 0; i < kRequests; ++i) running.push_back(start(turn(1, 1)));
  const auto held = [this] { return servers_[0].held() + servers_[1].held() + servers_[2].held(); };
  until([&] { return held() == kRequests; });
  for (Scripted& server : servers_) EXPECT_LE(server.held(), 10U) << "1.25 times the mean of 8";
  for (Scripted& server : servers_) server.let_go();
  for (const auto& sink : running) EXPECT_EQ(llm::text_of(sink->wait()), "begin end");
}

TEST_F(BalancedTest, OnlyAServerThatIsDownIsProbedAndTheProbeBringsItBack) {
  ServerPoolOptions pool = pool_options();
  pool.probe_interval_s = 0.02;
  make(std::move(pool));
  const int conversation = conversation_at(0);
  servers_[0].does = Does::kFails;
  servers_[0].health = 503;
  EXPECT_NE(asks(conversation, 2), 0U);
  until([&] { return servers_[0].probes >= 3; });
  EXPECT_TRUE(pool_->status()[0].down);
  servers_[0].health = 404;  // it has no such path; its models it doesn't list either
  servers_[0].models = 404;
  const int before = servers_[0].probes;
  until([&] { return servers_[0].probes >= before + 4; });
  EXPECT_TRUE(pool_->status()[0].down);
  servers_[0].does = Does::kAnswers;
  servers_[0].models = 200;
  until([&] { return !pool_->status()[0].down; });
  EXPECT_THAT(told(), HasSubstr(servers_[0].url() + " is back: it answered a probe"));
  const int after = servers_[0].probes;
  (void)conversation_at(0);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(servers_[0].probes, after);
  EXPECT_EQ(servers_[1].probes + servers_[2].probes, 0);
}

TEST_F(BalancedTest, WhoAsksForALongWaitGetsItWhateverAProbeSays) {
  ServerPoolOptions pool = pool_options();
  pool.cooldown.failures = 3;
  pool.probe_interval_s = 0.02;
  make(std::move(pool));
  const int conversation = conversation_at(0);
  servers_[0].does = Does::kBusy;
  const std::size_t other = asks(conversation, 2);
  EXPECT_NE(other, 0U);
  EXPECT_NEAR(pool_->status()[0].down_s, 40, 0.1);
  EXPECT_TRUE(pool_->status()[0].down);
  servers_[0].does = Does::kAnswers;
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(servers_[0].probes, 0);
  for (int i = 0; i < 30; ++i) EXPECT_NE(asks(1000 + i, 1), 0U);
  clock_.advance(std::chrono::seconds(41));
  EXPECT_FALSE(pool_->status()[0].down);
  (void)conversation_at(0);
}

TEST_F(BalancedTest, WhoLeavesFreesThePlace) {
  make();
  for (Scripted& server : servers_) server.does = Does::kHolds;
  const base::CancelToken cancel;
  const auto running = start(turn(1, 1), cancel);
  until([&] { return servers_[0].held() + servers_[1].held() + servers_[2].held() == 1; });
  cancel.cancel();
  EXPECT_EQ(failure(running->wait()).code, Code::kCancelled);
  until([&] { return completer_->stats().cancelled == 1; });
  expect_nothing_in_flight();
  for (const ServerStatus& server : pool_->status()) EXPECT_FALSE(server.down);
  for (Scripted& server : servers_) server.let_go();
}

TEST_F(BalancedTest, AListenerThatThrowsIsTheEndOfItsRequestAlone) {
  make();
  std::atomic<int> ends{0};
  const auto throws = std::make_shared<llm::FunctionSink>([&ends](const llm::Event& event) {
    if (llm::is_terminal(event)) ++ends;
    throw std::runtime_error("a listener's own mistake");
  });
  completer_->start(turn(1, 1), throws, {});
  until([this] { return completer_->stats().completed + completer_->stats().failed == 1; });
  EXPECT_EQ(ends, 1);
  expect_nothing_in_flight();
  EXPECT_LT(asks(1, 1), kServers);
}

TEST_F(BalancedTest, ACallersOwnLimitMarksNobody) {
  make();
  llm::Request late = turn(1, 1);
  late.budget.seconds = 0;
  EXPECT_EQ(failure(ask(late)).code, Code::kDeadline);
  for (const ServerStatus& server : pool_->status()) EXPECT_FALSE(server.down);
}

TEST_F(BalancedTest, AForwardedCallMovesToo) {
  make();
  const auto forward = [this] {
    std::promise<base::Result<std::string>> promise;
    auto future = promise.get_future();
    forwarder_->forward(
        {.body = R"({"model":"p/m","input":"text"})", .id = "r", .traceparent = {}}, {},
        [&promise](base::Result<std::string> answer) { promise.set_value(std::move(answer)); });
    return future.get();
  };
  servers_[0].does = Does::kFails;
  servers_[1].stop();
  for (int i = 0; i < 10; ++i) {
    const auto answer = forward();
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_THAT(*answer, HasSubstr(R"("model":"p/m")"));
  }
  EXPECT_EQ(servers_[2].asked().size(), 10U);
  EXPECT_LE(servers_[0].asked().size(), 1U);
  servers_[2].does = Does::kFails;
  EXPECT_FALSE(forward());
  expect_nothing_in_flight();
}

}  // namespace
}  // namespace pmt::upstream
