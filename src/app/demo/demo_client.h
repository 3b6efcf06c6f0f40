// The demo's side of the wire: questions over real HTTP, timed, with what the server reported about each.
// Thread-safety: one thread a DemoClient.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "net/http_client.h"

namespace pmt::app {

struct DemoAnswer {
  std::string text;
  std::string cache;    // the header x-permutation-cache
  double wall_ms = 0;   // from sending to the last byte
  nlohmann::json body;  // the whole answer, `permutation` included

  std::int64_t prompt_tokens() const { return body.at("usage").at("prompt_tokens"); }
  std::int64_t completion_tokens() const { return body.at("usage").at("completion_tokens"); }
  /// A number below body.permutation. Errors: throws nlohmann's exception when the server left it out.
  double reported(const std::string& pointer) const {
    return body.at(nlohmann::json::json_pointer("/permutation" + pointer)).get<double>();
  }
};

class DemoClient {
 public:
  static base::Result<DemoClient> connect(const std::string& url);

  /// Temperature 0. Errors: the server's, with its message.
  base::Result<DemoAnswer> ask(const std::string& model, const std::string& question, int max_tokens,
                               double kv_ratio = 1, const char* speculation = "auto");
  /// The same with a whole request of one's own.
  base::Result<DemoAnswer> send(const nlohmann::json& request);
  base::Result<nlohmann::json> get(const std::string& target);

 private:
  explicit DemoClient(std::unique_ptr<net::HttpClient> http) : http_(std::move(http)) {}
  std::unique_ptr<net::HttpClient> http_;
};

struct Crowd {
  std::vector<DemoAnswer> answers;
  double wall_ms = 0;  // from the first question sent to the last answer received
};

/// `size` clients, each on a connection of its own, ask the same at once. Errors: the first that any got.
base::Result<Crowd> ask_at_once(const std::string& url, const std::string& model, const std::string& question,
                                int max_tokens, int size);

}  // namespace pmt::app
