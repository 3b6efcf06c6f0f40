// Fits a model's predictor (calibration.h) in small pieces of work, so that requests go on between them (note 0034).
//
// The model writes pieces of text, several at once; they are joined to texts with facts planted; each text is read,
// with its layers' attention inputs kept, and repeated, which scores its tokens (score_by_repeating); one ridge
// regression a layer gathers both; at the end they are solved. What the predictor explains is measured on the last
// text before that is added.
//
// Invariants:
//   1. step() does one piece: at most `tokens_max` tokens through the model, or a block of rows or some steps of the
//      solver for as many layers as there are threads.
//   2. Pages of the pool are held while texts are written, read and repeated; give_back() frees them all, and what they
//      held is read again later. A piece or text is only begun while a share of the pool stays free.
//   3. What has been written and scored is kept in a file, and the next Calibrator of this model goes on from there.
// The result's bits don't depend on threads, nor on how work was cut into pieces where the model's own don't (the
// weights' products of ggml do). Thread-safety: the thread that owns the transformer and the pool.
// Errors: as Transformer::forward; kTooLarge, the pool can't hold a text.
// Cost: 3 passes over piece_tokens_for() tokens of 14 pieces; the regressions (2 B * layers * hidden^2) and one text's
// inputs (2 B * layers * tokens * hidden) in memory: 130 and 90 MB for a model of 1.5B.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "compression/calibration.h"
#include "compression/calibration_state.h"
#include "compression/calibration_texts.h"
#include "compression/ridge.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/sequence_kv.h"
#include "model/sampler.h"
#include "model/transformer.h"
#include "model/vocab.h"

namespace pmt::compression {

struct CalibratorOptions {
  /// Written after each lead-in, rounded up to whole stretches; 0: what piece_tokens_for() the model says.
  int piece_tokens = 0;
  /// Of the pool's pages: stays free when a piece or a text is begun, as far as the pool is large enough.
  double free_share = 0.25;
  /// Where what was done so far is kept; empty: nowhere.
  std::string state_path = {};
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
};

class Calibrator {
 public:
  enum class Step {
    kWorked,
    kNoPages,  // nothing was done, and no page is held
    kDone,     // result() is there
  };

  Calibrator(model::Transformer& transformer, const model::Vocab& vocab, kv_cache::PagePool& pool,
             CalibratorOptions options);

  base::Result<Step> step(int tokens_max);
  /// Frees every page that it holds.
  void give_back();
  bool holds_pages() const;
  /// Whether the next step takes tokens through the model.
  bool reads_tokens() const { return phase_ <= Phase::kRepeating; }
  /// How many of the pool's large pages must be free for the next step; 0: it has what it needs.
  std::size_t pages_wanted() const;
  /// 0 to 1, of the work as it is estimated.
  double progress() const;
  const std::optional<Calibration>& result() const { return result_; }

 private:
  enum class Phase { kWriting, kReading, kRepeating, kAdding, kSolving, kDone };
  /// One piece that is being written.
  struct Writer {
    std::size_t lead_tokens = 0;
    std::optional<kv_cache::SequenceKv> sequence = {};
    std::optional<model::Sampler> sampler = {};
  };

  void resume();
  bool fits(const CalibrationState& state) const;
  void save() const;
  base::Result<Step> work(int tokens_max);

  base::Result<Step> write(int tokens_max);
  std::vector<std::size_t> unfinished() const;
  bool begin_writing(std::size_t piece);
  base::Status write_token(std::size_t piece, std::span<const float> logits);
  int written(std::size_t piece) const;
  int stretches() const;
  std::size_t pages_promised() const;
  void end_writing();

  base::Result<Step> read(int tokens_max);
  void keep_inputs(int first, int count, const std::vector<float>& inputs);
  base::Result<Step> repeat(int tokens_max);
  void end_text_pass();
  std::size_t pages_for_text() const;
  std::size_t pages_to_leave(std::size_t need) const;
  bool has_room(std::size_t pages) const;

  void add();
  void add_rows(std::size_t layer, int first, int count);
  void solve();
  void end_solving();
  double explained(std::size_t layer) const;
  std::vector<float> block_inputs(std::size_t layer, int first, int count) const;
  std::vector<float> block_answers(std::size_t layer, int first, int count) const;
  /// Runs `work` for as many layers as there are threads, from layer_ on.
  template <class Work>
  void each_layer(const Work& work);

  std::size_t layers() const { return static_cast<std::size_t>(transformer_.hparams().layers); }
  int text_tokens() const { return static_cast<int>(texts_[text_].size()); }

  model::Transformer& transformer_;
  const model::Vocab& vocab_;
  kv_cache::PagePool& pool_;
  const CalibratorOptions options_;
  const int piece_tokens_;
  const StateOf of_;
  const Tokens request_;  // that asks for a repetition

  Phase phase_ = Phase::kWriting;
  std::vector<Tokens> pieces_;
  std::vector<Writer> writers_;
  int stretches_kept_ = 0;
  std::vector<Tokens> texts_;
  std::vector<kv_cache::ScoreBuffer> scores_;  // of the texts that have been repeated

  std::size_t text_ = 0;
  std::optional<kv_cache::SequenceKv> read_, repeating_;
  std::vector<std::uint16_t> inputs_;  // of the text: [layers, tokens, hidden] f16
  Tokens again_;                       // what repeating_ reads after the text
  int repeat_first_ = 0;
  kv_cache::ScoreBuffer text_scores_;

  std::vector<Ridge> ridges_;  // [layers]
  int row_ = 0;                // of the text, added next
  std::size_t layer_ = 0;
  bool begun_ = false;  // the layers at layer_ are being solved
  bool trial_ = false;  // solved before the last text is added
  std::vector<double> explained_;
  std::optional<Calibration> result_;
};

}  // namespace pmt::compression
