// Compression of the jobs that asked for it, around compression/prompt_compression.h and decoding_compression.h: the
// model's calibration, what is asked of spans as they are read, the cuts, and their figures.
// Thread-safety: the scheduler's thread.
#pragma once

#include <optional>

#include "compression/asides.h"
#include "inference/background_calibration.h"
#include "inference/batch.h"
#include "inference/engine_counters.h"
#include "inference/prefix_reuse.h"
#include "model/transformer.h"

namespace pmt::inference {

class PromptCompressor {
 public:
  /// What it works with; all of it outlives it.
  struct Around {
    model::Transformer& transformer;
    const model::Vocab& vocab;
    kv_cache::PagePool& pool;
    const LocalModelOptions& options;
    const base::Clock& clock;
    PrefixReuse& prefixes;
    EngineCounters& counters;
    BackgroundCalibration& calibration;
  };
  explicit PromptCompressor(const Around& around);

  /// Before anything of the job's prompt is read: where the model has no calibration yet, a prompt that is to be
  /// compressed goes without, and one is begun.
  void begin(Job& job);
  /// Asks for the scores and queries of a part's span that is about to be read.
  void ask_for_scores(Part& part, model::BatchSpan& span);
  /// Whether compress() reads a batch of its own after this step: the transformer's logits are gone then.
  static bool reads_more(const Part& part);
  /// Whether the part's prompt has been read and is to be cut now.
  static bool due(const Part& part);
  /// Cuts a prompt that is due. In a pool with no room for the small pages it stays exact, and the report says so.
  void compress(Job& job, kv_cache::SequenceKv& sequence);

  /// What of the choice's older tokens is due (note 0050). In a full pool they stay as they are from then on.
  void compress_decoded(Job& job, PagedGeneration& choice);

  const std::optional<CompressedPrompt>& last() const { return last_; }

 private:
  bool compressed(Job& job, kv_cache::SequenceKv& sequence);
  void count(Job& job, const kv_cache::SequenceKv& sequence);
  void count_decoded(Job& job, int tokens, std::int64_t evicted);

  const Around around_;
  const compression::Asides asides_;
  std::optional<CompressedPrompt> last_;
};

}  // namespace pmt::inference
