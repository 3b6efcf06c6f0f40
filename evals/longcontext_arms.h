// Ways to answer a question over a long text by one model, all through one served door: `rlm`; the text's end that a
// window holds; every chunk, and what they say joined; other people's package `rlms`. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "evals/longcontext_score.h"
#include "lab/server_process.h"
#include "net/http_client.h"

namespace pmt::evals {

/// To size a text; what it came to is counted by the server.
inline constexpr double kLongBytesPerToken = 4.0;

struct LongDoorOptions {
  std::string binary, model;  // a name of the catalogue or a file
  int threads = 0, window_tokens = 8'000, chunk_tokens = 4'000;
  double seconds = 600;  // that a question may take
};

class LongDoor {
 public:
  /// Starts the server, its response cache off.
  explicit LongDoor(LongDoorOptions options);

  const std::string& model() const { return model_; }

  LongReply by_rlm(const LongText& long_text, const LongItem& item);
  LongReply by_truncation(const LongText& long_text, const LongItem& item);
  /// Counts of chunks are added up by us, other answers joined by the model. Given up where the time is over.
  LongReply by_chunks(const LongText& long_text, const LongItem& item);
  /// The package in the environment that PMT_PEERS names.
  LongReply by_rlms(const LongText& long_text, const LongItem& item);

 private:
  LongReply directly(const std::string& text, const LongItem& item, const std::string& more);
  LongReply send(nlohmann::json body, int max_tokens);

  LongDoorOptions options_;
  std::unique_ptr<lab::ServerProcess> server_;
  std::unique_ptr<net::HttpClient> client_;
  std::string model_;
};

}  // namespace pmt::evals
