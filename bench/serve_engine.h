// What bench serve's parts ask: the engine as a server opens it, by requests of token ids that are answered greedily
// and to their full length. An error ends the process.
// Thread-safety: one thread asks.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "engine/local_engine.h"
#include "kv_cache/sequence_kv.h"
#include "llm/completer.h"

namespace pmt::bench {

/// The f16 sequences whose memory is shared out, and that llama.cpp runs.
inline constexpr int kExactSequences = 8;

/// What the file says, without its weights.
struct ModelFacts {
  kv_cache::KvShape shape;
  int vocabulary = 0;  // tokens
};
ModelFacts facts_of(const std::string& model_path);

/// Bytes of the pages that one exact request takes, as admission counts them.
std::size_t exact_bytes(const kv_cache::KvShape& shape, int prompt_tokens, int new_tokens);

/// An answer that is being written.
class Answer final : public llm::Sink {
 public:
  using Time = std::chrono::steady_clock::time_point;

  void on_event(llm::Event&& event) override;
  /// Until its prompt is being read.
  void wait_begun();
  /// Until its end.
  const llm::Done& wait();
  /// When it ended; requires that it has.
  Time ended_at() const { return ended_at_; }

 private:
  void wait_until(bool& reached);

  std::mutex mutex_;
  std::condition_variable changed_;
  bool begun_ = false, ended_ = false;  // under mutex_, as the rest
  std::optional<base::Error> error_;
  llm::Done done_;
  Time ended_at_;
};

struct Question {
  std::vector<std::int32_t> prompt;
  int new_tokens = 1;
  double kv_ratio = 1;                     // 1: exact
  llm::KvMode mode = llm::KvMode::kExact;  // of a ratio above 1
  std::string tenant = {};                 // prompts of one tenant share what they begin with
};

struct ServeEngineOptions {
  std::string model_path;
  int threads = 1;
  std::size_t kv_bytes = 0;      // of the pool
  std::size_t prefix_bytes = 0;  // of those, for prompts that come again
  bool calibrated = false;       // while it loads, so not in the measured time; compression needs it
};

class ServeEngine {
 public:
  explicit ServeEngine(const ServeEngineOptions& options);

  std::shared_ptr<Answer> ask(Question question);
  const inference::LocalModel& model() const { return *engine_->models()[0].model; }

 private:
  base::SystemClock clock_;
  std::unique_ptr<engine::LocalEngine> engine_;
};

}  // namespace pmt::bench
