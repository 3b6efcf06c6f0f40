// An embedding model by libllama, as an llm::Embedder: of the BERT kind, an encoder, or one that reads as a model
// that writes does (Qwen3-Embedding and its like), pooled as its GGUF says.
//
// One thread owns the model. It loads it when the first text comes, takes one text of each waiting call in
// turn until a batch is full, and runs the batch through the encoder at once: a short question that comes
// behind a thousand documents waits for one batch, not for all of them.
//
// Thread-safety: as llm::Embedder. Errors: as llm::Embedder; a load that failed is tried again by the next
// call.
// Cost: nothing until the first text; then the file's bytes (mapped) and the context's buffers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "llm/embedder.h"

namespace pmt::inference {

struct LocalEmbedderOptions {
  std::string name;  // as served
  std::string path;  // the GGUF
  int threads = 0;   // 0: all cores
  /// Tokens encoded at once. A text longer than this has a batch of its own.
  int batch_tokens = 256;
  std::size_t texts_waiting_max = 32'768;
  bool gives_way =
      false;  // to whoever answers: for texts by the thousand that nobody waits for by the second
};

struct EmbedderStats {
  bool loaded = false;
  std::uint64_t calls = 0, failed = 0, texts = 0, tokens = 0, batches = 0;
  double busy_ms = 0;  // in the encoder
  double load_ms = 0;
};

class LocalEmbedder : public llm::Embedder {
 public:
  static std::unique_ptr<LocalEmbedder> create(LocalEmbedderOptions options, const base::Clock& clock);

  /// Ends what waits with kUnavailable, and takes nothing more. Idempotent; the destructor does it too.
  virtual void stop() = 0;
  virtual const std::string& name() const = 0;
  virtual EmbedderStats stats() const = 0;
};

}  // namespace pmt::inference
