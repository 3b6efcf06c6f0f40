// Against a real server on loopback that answers, stalls, breaks off, refuses and talks nonsense as told.
#include "upstream/remote_completer.h"

#include <deque>
#include <future>
#include <mutex>
#include <stdexcept>

#include <gmock/gmock.h>

#include "llm/sinks.h"
#include "net/sse.h"
#include "net/test_peer.h"
#include "upstream/cooldown.h"

namespace pmt::upstream {
namespace {

using base::Code;
using json = nlohmann::json;
using ::testing::HasSubstr;
using ResponderPtr = std::shared_ptr<net::Responder>;
using Step = std::function<void(const net::HttpRequest&, const ResponderPtr&)>;

std::string chunk(const json& delta, const char* finish = nullptr) {
  json choice = {{"index", 0}, {"delta", delta}};
  if (finish != nullptr) choice["finish_reason"] = finish;
  return net::sse_event(json{{"id", "x"}, {"created", 5}, {"choices", {choice}}}.dump());
}

const std::string kUsage =
    net::sse_event(R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}})") +
    net::sse_event("[DONE]");

const net::Headers kSse = {{"content-type", "text/event-stream"}};

Step streams(const std::string& text) {
  return [text](const net::HttpRequest&, const ResponderPtr& responder) {
    responder->start_stream({200, kSse, chunk({{"role", "assistant"}, {"content", ""}})});
    responder->write(chunk({{"content", text}}));
    responder->write(chunk(json::object(), "stop") + kUsage);
    responder->finish_stream();
  };
}
Step answers(int status, const std::string& body, net::Headers headers = {}) {
  return [=](const net::HttpRequest&, const ResponderPtr& responder) {
    responder->send({status, headers, body});
  };
}
Step whole(const std::string& text) {
  return answers(
      200,
      json{{"choices", {{{"index", 0}, {"message", {{"content", text}}}, {"finish_reason", "stop"}}}},
           {"usage", {{"prompt_tokens", 3}, {"completion_tokens", 2}}}}
          .dump(),
      {{"content-type", "application/json"}});
}

class RemoteTest : public testing::Test {
 protected:
  void TearDown() override {
    client_->stop();
    server_->stop(0);
  }
  RemoteOptions options() const {
    RemoteOptions out;
    out.name = "p/m";
    out.provider = "p";
    out.model = "real-name";
    out.base_url = *net::parse_url("http://127.0.0.1:" + std::to_string(server_->port()) + "/v1");
    out.retries.backoff_s = 0.01;
    return out;
  }
  std::unique_ptr<RemoteCompleter> make(RemoteOptions options) {
    return RemoteCompleter::create(std::move(options), *client_, clock_, [] { return 0.5; });
  }
  static llm::Request question(bool stream = true) {
    llm::Request request;
    request.model = "p/m";
    request.stream = stream;
    request.messages.push_back(
        {.role = "user", .content = "capital?", .name = {}, .tool_calls = {}, .tool_call_id = {}});
    return request;
  }
  static std::vector<llm::Event> ask(RemoteCompleter& remote, llm::Request request = question()) {
    const auto sink = std::make_shared<llm::CollectingSink>();
    remote.start(std::move(request), sink, {});
    return sink->wait();
  }
  static base::Error failure(const std::vector<llm::Event>& events) {
    const auto* failed = std::get_if<llm::Failed>(&events.back());
    return failed == nullptr ? base::Error{Code::kInternal, "it did not fail"} : failed->error;
  }
  void script(std::deque<Step> steps) {
    const std::lock_guard lock(mutex_);
    steps_ = std::move(steps);
  }
  std::vector<net::HttpRequest> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  std::mutex mutex_;
  std::deque<Step> steps_;  // guarded by mutex_, like
  std::vector<net::HttpRequest> requests_;
  std::vector<ResponderPtr> kept_;
  base::SystemClock clock_;
  std::unique_ptr<net::HttpServer> server_ =
      net::start_server([this](const net::HttpRequest& request, ResponderPtr responder) {
        Step step;
        {
          const std::lock_guard lock(mutex_);
          requests_.push_back(request);
          kept_.push_back(responder);
          if (steps_.empty()) return responder->send({500, {}, "the script is over"});
          step = std::move(steps_.front());
          steps_.pop_front();
        }
        step(request, responder);
      });
  std::unique_ptr<net::AsyncClient> client_ = std::move(*net::AsyncClient::create({}));
};

TEST_F(RemoteTest, StreamsAnAnswer) {
  script({streams("Paris")});
  RemoteOptions with_key = options();
  with_key.api_key = "secret";
  const auto remote = make(with_key);
  llm::Request request = question();
  request.sampling.temperature = 0;
  request.max_tokens = 9;
  request.tools = {{.type = "function", .function = {}, .sent = R"({"type":"function","b":1.50,"a":0})"}};
  request.tool_choice = {.kind = llm::ToolChoice::Kind::kOther, .function = {}, .sent = R"({"type":"any"})"};
  request.messages.push_back(
      {.role = "assistant",
       .content = {},
       .name = {},
       .tool_calls = {{.name = "f", .arguments = "{}", .sent = R"({"id":"c","x":[]})"}},
       .tool_call_id = {}});
  const auto events = ask(*remote, request);
  EXPECT_EQ(llm::text_of(events), "Paris");
  EXPECT_EQ(std::get<llm::Started>(events.front()).model, "p/m");
  const auto& done = std::get<llm::Done>(events.back());
  EXPECT_EQ(done.usage.completion_tokens, 2);
  EXPECT_EQ(done.report.upstream["attempts"], 1);
  EXPECT_GT(done.report.upstream["first_byte_ms"].get<double>(), 0);

  const auto sent = requests();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].path, "/v1/chat/completions");
  EXPECT_EQ(sent[0].header("authorization"), "Bearer secret");
  EXPECT_EQ(json::parse(sent[0].body),
            json::parse(R"({"model":"real-name","messages":[{"role":"user","content":"capital?"},
                {"role":"assistant","content":null,"tool_calls":[{"id":"c","x":[]}]}],
              "temperature":0.0,"max_tokens":9,"tools":[{"type":"function","b":1.5,"a":0}],
              "tool_choice":{"type":"any"},
              "stream":true,"stream_options":{"include_usage":true}})"));
  EXPECT_NE(sent[0].body.find(R"("tools":[{"type":"function","b":1.50,"a":0}])"), std::string::npos)
      << "tools go on as they were written";
}

TEST_F(RemoteTest, StreamsAsTheWorldSendsThem) {
  const auto plays = [](const std::string& body, const std::string& type) {
    return answers(200, body, {{"content-type", type}});
  };
  const std::string said = chunk({{"content", "Paris"}}) + chunk(json::object(), "stop") + kUsage;
  const std::string pings =
      ": ping\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\nevent: keep-alive\ndata: now\n\n"
      "data:\n\ndata: {\"type\": \"ping\"}\n\n";
  script({plays(said, "Text/Event-Stream; charset=utf-8"), plays(pings + said, "TEXT/EVENT-STREAM;x=y"),
          plays(said, "text/plain"), plays(pings + said, "application/octet-stream"),
          plays(said, "text/event-stream-of-another-kind")});
  const auto remote = make(options());
  for (int i = 0; i < 5; ++i) EXPECT_EQ(llm::text_of(ask(*remote)), "Paris") << i;
  EXPECT_EQ(requests().size(), 5U) << "each at the first attempt";
}

TEST_F(RemoteTest, AnErrorMayBeAnEventOfItsOwn) {
  RemoteOptions once = options();
  once.retries.attempts_more = 0;
  const auto remote = make(once);
  for (const char* event :
       {"event: error\ndata: {\"message\": \"it burns\", \"code\": \"fire\"}\n\n",
        "event: error\ndata: it burns\n\n", "data: {\"error\": {\"message\": \"it burns\"}}\n\n"}) {
    script({answers(200, chunk({{"content", "Pa"}}) + event, kSse)});
    EXPECT_THAT(failure(ask(*remote)).message, HasSubstr("it burns")) << event;
  }
}

TEST_F(RemoteTest, ARefusalKeepsItsWords) {
  const auto refuses = [](int status, const char* code) {
    return answers(status, json{{"error", {{"message", "no"}, {"type", "a_type"}, {"code", code}}}}.dump());
  };
  script({refuses(400, "context_length_exceeded"), refuses(422, "x"), refuses(402, "y"), refuses(403, "z"),
          refuses(429, "insufficient_quota"), refuses(401, "invalid_api_key")});
  const auto remote = make(options());
  for (const auto& [status, code] : std::vector<std::pair<int, std::string>>{{400, "context_length_exceeded"},
                                                                             {422, "x"},
                                                                             {402, "y"},
                                                                             {403, "z"},
                                                                             {429, "insufficient_quota"}}) {
    const base::Error error = failure(ask(*remote));
    ASSERT_NE(error.foreign, nullptr) << status;
    EXPECT_EQ(error.foreign->status, status);
    EXPECT_EQ(error.foreign->type, "a_type");
    EXPECT_EQ(error.foreign->code, code);
  }
  EXPECT_EQ(failure(ask(*remote)).foreign, nullptr) << "our own key is no fault of the caller's";
  EXPECT_EQ(requests().size(), 6U) << "a quota that is used up isn't asked again";
}

TEST_F(RemoteTest, TakesAWholeAnswerWhetherAskedForOrNot) {
  script({whole("one"), whole("two")});
  const auto remote = make(options());
  EXPECT_EQ(llm::text_of(ask(*remote, question(false))), "one");
  EXPECT_EQ(llm::text_of(ask(*remote, question(true))), "two") << "a server that doesn't stream";
  EXPECT_FALSE(json::parse(requests()[0].body).contains("stream"));
}

TEST_F(RemoteTest, TriesAgainWhatMayGoBetter) {
  script({answers(500, "oops"), answers(429, "{}", {{"retry-after", "0.05"}}), streams("at last")});
  const auto remote = make(options());
  const auto events = ask(*remote);
  EXPECT_EQ(llm::text_of(events), "at last");
  const json report = std::get<llm::Done>(events.back()).report.upstream;
  EXPECT_EQ(report["attempts"], 3);
  EXPECT_EQ(report["errors"].size(), 2U);
  EXPECT_EQ(remote->stats().retries, 2U);
}

TEST_F(RemoteTest, GarbageIsTriedAgainAndThenABadGateway) {
  script({answers(200, "<html>hello</html>"), answers(200, "{}"), answers(204, "")});
  const auto remote = make(options());
  const base::Error error = failure(ask(*remote));
  EXPECT_EQ(error.code, Code::kBadGateway);
  EXPECT_THAT(error.message, HasSubstr("upstream p: "));
  EXPECT_THAT(error.message, HasSubstr("(3 attempts)"));
}

TEST_F(RemoteTest, ARefusalIsPassedOnAtOnce) {
  script({answers(400, R"({"error":{"message":"bad tools"}})"), answers(401, "{}"), answers(404, "{}")});
  const auto remote = make(options());
  EXPECT_THAT(failure(ask(*remote)).message, HasSubstr("bad tools"));
  const base::Error unauthorized = failure(ask(*remote));
  EXPECT_EQ(unauthorized.code, Code::kUnauthorized);
  EXPECT_THAT(unauthorized.message, HasSubstr("api_key_env"));
  const base::Error absent = failure(ask(*remote));
  EXPECT_EQ(absent.code, Code::kNotFound);
  EXPECT_EQ(absent.field, "model");
  EXPECT_EQ(requests().size(), 3U);
}

TEST_F(RemoteTest, ALongRetryAfterIsNotWaitedForButRespected) {
  script({answers(429, R"({"error":{"message":"slow down"}})", {{"retry-after", "60"}})});
  const auto remote = make(options());
  const base::Error error = failure(ask(*remote));
  EXPECT_EQ(error.code, Code::kExhausted);
  EXPECT_DOUBLE_EQ(error.retry_after_s, 60);
  const base::Error cool = failure(ask(*remote));
  EXPECT_EQ(cool.code, Code::kUnavailable);
  EXPECT_NEAR(cool.retry_after_s, 60, 5);
  EXPECT_EQ(requests().size(), 1U) << "it asked to be left alone";
}

TEST_F(RemoteTest, AfterTheFirstWordNothingIsTriedAgain) {
  script({[](const net::HttpRequest&, const ResponderPtr& responder) {
    responder->start_stream({200, kSse, chunk({{"content", "half"}})});
    responder->finish_stream();
  }});
  const auto remote = make(options());
  const auto events = ask(*remote);
  EXPECT_EQ(llm::text_of(events), "half");
  EXPECT_EQ(failure(events).code, Code::kBadGateway);
  EXPECT_THAT(failure(events).message, HasSubstr("broke off"));
  EXPECT_EQ(requests().size(), 1U);
}

TEST_F(RemoteTest, AStreamThatBreaksOffBeforeAWordIsTriedAgain) {
  script({[](const net::HttpRequest&, const ResponderPtr& responder) {
            responder->start_stream({200, kSse, chunk({{"role", "assistant"}})});
            responder->finish_stream();
          },
          streams("whole")});
  const auto events = ask(*make(options()));
  EXPECT_EQ(llm::text_of(events), "whole");
  EXPECT_TRUE(std::holds_alternative<llm::Started>(events.front()));
  EXPECT_FALSE(std::holds_alternative<llm::Started>(events[1])) << "one Started, whatever was tried";
}

TEST_F(RemoteTest, AStallEndsTheStream) {
  script({[](const net::HttpRequest&, const ResponderPtr& responder) {
    responder->start_stream({200, kSse, chunk({{"content", "and then"}})});
  }});
  RemoteOptions impatient = options();
  impatient.timeouts.stall_s = 0.2;
  const auto events = ask(*make(impatient));
  EXPECT_EQ(llm::text_of(events), "and then");
  EXPECT_EQ(failure(events).code, Code::kDeadline);
}

TEST_F(RemoteTest, TheRequestsBudgetOfSecondsHolds) {
  script({[](const net::HttpRequest&, const ResponderPtr&) {}, streams("too late")});
  llm::Request request = question();
  request.budget.seconds = 0.3;
  const base::Nanos began = clock_.now();
  const base::Error error = failure(ask(*make(options()), request));
  EXPECT_EQ(error.code, Code::kDeadline);
  EXPECT_LT(base::ms_between(began, clock_.now()), 3000);
}

TEST_F(RemoteTest, CancellingClosesTheRequestToTheServer) {
  std::atomic<bool> left{false};
  script({[&](const net::HttpRequest&, const ResponderPtr& responder) {
    responder->on_disconnect([&] { left = true; });
    responder->start_stream({200, kSse, chunk({{"content", "word"}})});
  }});
  const auto remote = make(options());
  const base::CancelToken cancel;
  std::mutex mutex;
  std::condition_variable changed;
  bool spoke = false, ended = false;
  Code code{};
  remote->start(question(), std::make_shared<llm::FunctionSink>([&](const llm::Event& event) {
                  const std::lock_guard lock(mutex);
                  if (std::holds_alternative<llm::Delta>(event)) spoke = true;
                  if (const auto* failed = std::get_if<llm::Failed>(&event)) code = failed->error.code;
                  ended = llm::is_terminal(event);
                  changed.notify_all();
                }),
                cancel);
  std::unique_lock lock(mutex);
  ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(10), [&] { return spoke; }));
  lock.unlock();
  cancel.cancel();
  lock.lock();
  ASSERT_TRUE(changed.wait_for(lock, std::chrono::seconds(10), [&] { return ended; }));
  EXPECT_EQ(code, Code::kCancelled);
  for (int i = 0; i < 400 && !left; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(left);
  EXPECT_EQ(remote->stats().cancelled, 1U);
}

TEST_F(RemoteTest, FailingOftenItIsLeftAlone) {
  RemoteOptions once = options();
  once.retries.attempts_more = 0;
  once.cooldown = {.failures = 2, .cooldown_s = 0.3};
  const auto remote = make(once);
  script({answers(500, ""), answers(500, ""), streams("back")});
  failure(ask(*remote));
  failure(ask(*remote));
  EXPECT_THAT(failure(ask(*remote)).message, HasSubstr("left alone"));
  EXPECT_EQ(requests().size(), 2U);
  EXPECT_EQ(remote->stats().cooled, 1U);
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_EQ(llm::text_of(ask(*remote)), "back");
}

TEST_F(RemoteTest, MoreThanMayRunWait) {
  RemoteOptions narrow = options();
  narrow.concurrent_max = 1;
  narrow.queue_max = 1;
  const auto remote = make(narrow);
  script({[](const net::HttpRequest&, const ResponderPtr&) {}, streams("second")});
  const auto first = std::make_shared<llm::CollectingSink>();
  const auto second = std::make_shared<llm::CollectingSink>();
  const base::CancelToken cancel;
  remote->start(question(), first, cancel);
  remote->start(question(), second, {});
  EXPECT_THAT(failure(ask(*remote)).message, HasSubstr("wait already"));
  for (int i = 0; i < 400 && requests().empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(requests().size(), 1U);
  cancel.cancel();
  EXPECT_EQ(failure(first->wait()).code, Code::kCancelled);
  EXPECT_EQ(llm::text_of(second->wait()), "second");
}

TEST(Cooldown, CountsInARowAndForgetsOnSuccess) {
  base::FakeClock clock;
  Cooldown cooldown({.failures = 2, .cooldown_s = 10}, clock);
  cooldown.failed(0);
  cooldown.succeeded();
  cooldown.failed(0);
  EXPECT_EQ(cooldown.remaining_s(), 0);
  cooldown.failed(0);
  EXPECT_DOUBLE_EQ(cooldown.remaining_s(), 10);
  clock.advance(std::chrono::seconds(11));
  EXPECT_EQ(cooldown.remaining_s(), 0);
  cooldown.failed(0);
  EXPECT_DOUBLE_EQ(cooldown.remaining_s(), 10) << "one more failure is enough";
}

TEST_F(RemoteTest, AnExceptionEndsItsCallAndTheNextOneIsAnswered) {
  script({streams("one"), streams("two"), streams("three")});
  const auto remote = make(options());
  for (int throws_at = 0; throws_at < 2; ++throws_at) {
    std::promise<void> ended;
    int events = 0;
    remote->start(question(), std::make_shared<llm::FunctionSink>([&](const llm::Event& event) {
                    if (llm::is_terminal(event)) return ended.set_value();
                    if (events++ == throws_at) throw std::runtime_error("a sink's own");
                  }),
                  {});
    ended.get_future().get();
  }
  EXPECT_EQ(llm::text_of(ask(*remote)), "three");
  EXPECT_EQ(remote->stats().running, 0);
}

}  // namespace
}  // namespace pmt::upstream
