// Texts -> vectors whose cosine says how alike they mean. What POST /v1/embeddings, the response cache's
// semantic tier and the knowledge cache's relation keys ask, without knowing which model answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/result.h"

namespace pmt::llm {

/// A text, or token ids of the embedder's own vocabulary (used if not empty; begin and end tokens are put
/// around them where they lack).
struct EmbedInput {
  std::string text = {};
  std::vector<std::int32_t> tokens = {};
  bool cut = false;  // of more tokens than the model takes the first are read, instead of an error
};

struct Embeddings {
  std::size_t width = 0;      // 384 for all-minilm-l6-v2
  std::vector<float> values;  // [inputs, width], row-major, each row of length 1
  std::int64_t tokens = 0;    // that were read, begin and end tokens included
};

/// Thread-safety: any thread may call anything, concurrently. Concurrent calls share batches.
class Embedder {
 public:
  using Done = std::function<void(base::Result<Embeddings>)>;
  virtual ~Embedder() = default;

  /// Returns at once; `done` is called once, from the embedder's thread or from here, and must return
  /// quickly. Errors: an input longer than the model takes (kTooLarge) or empty (kInvalidArgument), under
  /// "input[i]"; too much waiting, or it is shutting down (kUnavailable); the model can't be loaded;
  /// cancelled (kCancelled). Nothing is returned for the other inputs of that call then.
  virtual void embed_async(std::vector<EmbedInput> inputs, base::CancelToken cancel, Done done) = 0;

  /// The same, waiting. Never from inside a Done.
  base::Result<Embeddings> embed(std::vector<EmbedInput> inputs);
  base::Result<Embeddings> embed(const std::string& text) { return embed({EmbedInput{.text = text}}); }
};

}  // namespace pmt::llm
