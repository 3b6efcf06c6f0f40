// A local model as a Completer: one thread owns the model and its page pool, and batches every running
// request's next tokens together (note 0004).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/memory.h"
#include "base/result.h"
#include "base/usage_counter.h"
#include "compression/mode.h"
#include "compression/quality.h"
#include "inference/cell_type.h"
#include "kv_cache/prefix_wipes.h"
#include "llm/completer.h"
#include "llm/vocabulary.h"

namespace pmt::kv_cache {
class PrefixFiles;
}

namespace pmt::inference {

/// What computes a model: see runtime.h.
enum class RuntimeChoice {
  kAuto,      // our graph where it knows the architecture, else libllama
  kOwn,       // our graph or an error
  kLibllama,  // libllama, whatever the architecture
};

struct LocalModelOptions {
  std::string name;                // as served, e.g. "smollm2-135m-instruct"
  std::string path;                // the GGUF
  std::string draft_path = {};     // the GGUF of a smaller model that drafts; "": none
  std::string chat_template = {};  // Jinja, in place of the model's own; "": that
  RuntimeChoice runtime = RuntimeChoice::kAuto;
  CellType cell_type = CellType::kF16;      // through libllama: of requests that ask for nothing smaller
  int threads = 0;                          // 0: all cores
  std::size_t kv_bytes_max = 512ULL << 20;  // the page pool's ceiling
  int prefill_chunk_tokens = 512;
  int sequences_max = 256;  // running at once
  int queue_max = 1024;     // waiting: above, 503
  /// Pages kept of prompts that were read, for requests that begin alike: at most this many bytes, and given
  /// up as soon as a request needs the room. 0: none.
  std::size_t prefix_bytes_max = 256ULL << 20;
  double kv_ratio =
      1;  // for requests that name none; above 1 the calibration is begun when the model is loaded
  bool kv_decoding =
      false;  // for requests that don't say: what is written is compressed, too, from a ratio of 4 on
  int kv_recent_tokens = compression::kRecentTokens;  // of which so many stay as they were written
  std::string calibration_path;                       // where the calibration is kept; empty: nowhere
  std::string_view calibration_shipped =
      {};                            // the bytes of the one that came with the product; empty: none did
  bool calibrates_first = false;     // all at once while it is loaded: for those who measure
  bool calibrates = true;            // false: a model that has no calibration never gets one
  int calibration_piece_tokens = 0;  // compression::CalibratorOptions'
  bool maps_file = true;  // libllama may; false: for a file that may be overwritten while it is used
  std::function<bool(float fraction)> on_load_progress;  // false ends the loading
  std::function<void(float fraction)> on_calibration_progress;
  /// Where prefixes outlive the process, and who tells of their wipes; both shared by models, and outlive them. Null:
  /// none.
  kv_cache::PrefixFiles* prefix_files = nullptr;
  kv_cache::PrefixWipes* prefix_wipes = nullptr;
  std::string model_digest = {};  // of the file; made when it is loaded, where there are prefix_files
  base::UsageCounter* compression_usage = nullptr;  // counts sequences cut down, by the request's surface
  base::UsageCounter* prefix_usage = nullptr;       // counts requests that reused a prefix
  base::UsageCounter* prefix_disk_usage = nullptr;  // of those, from prefix_files
  base::UsageCounter* speculation_usage = nullptr;  // counts accepted drafts
  /// Bytes that may still be taken; negative: unknown.
  std::function<std::int64_t()> memory_available = [] { return base::memory_available(); };
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
};

struct ModelInfo {
  std::string name, path, architecture;
  std::int64_t context_tokens = 0;
  std::int64_t parameters = 0;
  std::int64_t file_bytes = 0;
  bool has_chat_template = false;
  /// Not empty: libllama runs it, so compression, our pages and our prefix index are off, and why. Names the
  /// architecture; "off: " goes before it.
  std::string runs_elsewhere = {};
  std::string cell_type = {};  // then: in what it keeps keys and values, "f16"
  bool native_tools = false;   // the template has a notation of its own for calls
  bool thinks = false;         // its chat template has it think before it answers
  std::string thought_open = {},
              thought_close = {};  // what stands around a thought; "": only its parser knows
};

/// The model's calibration, which ranks a prompt's tokens for compression (note 0034).
struct CalibrationStatus {
  enum class State {
    kNone,     // no request has asked for it yet
    kRunning,  // in slices, between requests
    kWaiting,  // for pages, which requests hold
    kReady,
    kFailed,
  };
  State state = State::kNone;
  double progress = 0;                                // 0 to 1
  std::optional<double> seconds_left = std::nullopt;  // of computing: longer beside requests
};

/// What one compression kept of a prompt.
struct CompressedPrompt {
  int tokens = 0;
  std::int64_t tokens_kept = 0;                      // the mean over layers and heads
  double ratio = 1;                                  // bytes at f16 over bytes held, right then
  std::vector<std::vector<int>> kept_by_layer_head;  // [layers][kv_heads]
};

/// The page pool right now: counters of the pool itself, shown by GET /v1/kv. Through libllama the same of its
/// cells; there are no pages and no figures by layer then.
struct KvPoolStats {
  std::int64_t bytes = 0;           // in pages that hold a sequence
  std::int64_t bytes_prefixes = 0;  // of those: held only for requests to come
  std::int64_t prefixes = 0;
  std::int64_t bytes_resident = 0;  // taken from the system
  std::int64_t bytes_max = 0;
  std::int64_t pages_used = 0;
  std::int64_t sequences = 0;
  std::int64_t tokens = 0;
  std::int64_t tokens_kept = 0;  // the mean over layers and heads; less than `tokens` where compressed
  std::vector<std::vector<std::int64_t>> bytes_by_layer_head;  // [layers][kv_heads]
  std::optional<CompressedPrompt> last_compressed;
  std::int64_t bytes_compressed =
      0;  // of `bytes`: what sequences that were cut down hold, side tables included
};

struct EngineStats {
  std::uint64_t requests = 0, completed = 0, cancelled = 0, failed = 0;
  std::uint64_t prompt_tokens = 0, completion_tokens = 0, steps = 0;
  std::uint64_t compressed = 0, compressed_tokens = 0,
                evicted_tokens = 0;                           // sequences cut down, their tokens
  std::uint64_t decoding_compressed_tokens = 0;               // of those: while an answer was written
  std::uint64_t drafted = 0, accepted = 0;                    // tokens of speculation
  std::uint64_t drafted_by_model = 0, accepted_by_model = 0;  // of those: of a second model
  std::uint64_t prefix_hits = 0, prefix_tokens = 0;           // requests that reused a prefix, and its tokens
  std::uint64_t prefix_disk_hits = 0,
                prefix_disk_tokens = 0;  // of those: requests that the disk served, what it gave
  std::uint64_t prefix_disk_misses = 0;  // requests for which the disk knew no more than memory
  std::uint64_t prefix_queried = 0;      // tokens of prompts that were looked for among them
  std::uint64_t forms = 0;               // requests with tools or a response_format
  std::uint64_t forms_found = 0;         // of those, whose grammar was there already
  std::uint64_t forms_refused = 0;       // of those, wrong or too complex
  std::int64_t running = 0, waiting = 0;

  EngineStats& operator+=(const EngineStats& other);
};

class LocalModel : public llm::Completer, public llm::Vocabulary {
 public:
  /// Errors: no such file, not a GGUF, an architecture that nobody here runs (with libllama's reason) or, with
  /// kOwn, that isn't ours (names those that are), too little memory (said before a weight is read),
  /// kCancelled (ended by on_load_progress). Nothing is left behind. A page pool that doesn't fit is made
  /// smaller, with a warning.
  static base::Result<std::unique_ptr<LocalModel>> load(LocalModelOptions options, const base::Clock& clock);

  /// How rare a word is in what the model was trained on: the logarithm of its rank, or above.
  virtual double word_rarity(std::string_view word) const = 0;
  virtual const ModelInfo& info() const = 0;
  /// What compression was measured to keep on it.
  virtual const compression::Quality& kv_quality() const = 0;
  virtual KvPoolStats kv_stats() const = 0;
  virtual EngineStats stats() const = 0;
  virtual CalibrationStatus calibration() const = 0;
};

}  // namespace pmt::inference
