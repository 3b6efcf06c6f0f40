#include "app/demo/demo_client.h"

#include <barrier>
#include <thread>

#include <fmt/format.h>

#include "app/commands/server_call.h"
#include "base/clock.h"
#include "base/json.h"

namespace pmt::app {

namespace {

constexpr int kTimeoutS = 3'600;  // a calibration at first use, on a small machine that is busy

base::Result<nlohmann::json> json_of(const std::string& target, const net::ClientResponse& response) {
  if (response.status != 200) {
    return base::Error{base::Code::kUnavailable, fmt::format("{} answered {}: {}", target, response.status,
                                                             error_message_of(response))};
  }
  auto body = base::parse_json(response.body);
  if (!body) return base::Error{base::Code::kCorrupt, target + " answered what is " + body.error().message};
  return body;
}

}  // namespace

base::Result<DemoClient> DemoClient::connect(const std::string& url) {
  TRY_ASSIGN(auto http, net::HttpClient::connect(url, kTimeoutS));
  return DemoClient(std::move(http));
}

base::Result<DemoAnswer> DemoClient::ask(const std::string& model, const std::string& question,
                                         int max_tokens, double kv_ratio, const char* speculation) {
  return send(
      {{"model", model},
       {"messages", {{{"role", "user"}, {"content", question}}}},
       {"temperature", 0},
       {"max_tokens", max_tokens},
       {"permutation", {{"trace", true}, {"kv", {{"ratio", kv_ratio}}}, {"speculation", speculation}}}});
}

base::Result<DemoAnswer> DemoClient::send(const nlohmann::json& request) {
  const std::string body = request.dump();
  const base::SystemClock clock;
  const base::Nanos sent = clock.now();
  TRY_ASSIGN(const net::ClientResponse response,
             http_->request("POST", "/v1/chat/completions", {{"content-type", "application/json"}}, body));
  DemoAnswer answer;
  answer.wall_ms = base::ms_between(sent, clock.now());
  answer.cache = response.header("x-permutation-cache");
  TRY_ASSIGN(answer.body, json_of("/v1/chat/completions", response));
  answer.text = base::text_at(base::at(base::first_at(answer.body, "choices"), "message"), "content");
  return answer;
}

base::Result<nlohmann::json> DemoClient::get(const std::string& target) {
  TRY_ASSIGN(const net::ClientResponse response, http_->request("GET", target, {}, ""));
  return json_of(target, response);
}

base::Result<Crowd> ask_at_once(const std::string& url, const std::string& model, const std::string& question,
                                int max_tokens, int size) {
  std::vector<DemoClient> clients;
  for (int i = 0; i < size; ++i) {
    TRY_ASSIGN(DemoClient client, DemoClient::connect(url));
    clients.push_back(std::move(client));
  }
  std::vector<base::Result<DemoAnswer>> results(clients.size(), base::invalid("not asked"));
  const base::SystemClock clock;
  base::Nanos sent{0};
  std::barrier start(size, [&]() noexcept { sent = clock.now(); });
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < clients.size(); ++i) {
      threads.emplace_back([&, i] {
        start.arrive_and_wait();
        results[i] = clients[i].ask(model, question, max_tokens);
      });
    }
  }
  Crowd crowd{.answers = {}, .wall_ms = base::ms_between(sent, clock.now())};
  for (auto& result : results) {
    if (!result) return result.error();
    crowd.answers.push_back(std::move(*result));
  }
  return crowd;
}

}  // namespace pmt::app
