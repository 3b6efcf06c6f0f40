#include "compression/calibrator.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"
#include "base/file.h"
#include "compression/asides.h"
#include "compression/scores.h"
#include "kernels/f16.h"
#include "kernels/page_layout.h"

namespace pmt::compression {
namespace {

constexpr int kSkipped = 4;  // first tokens of a text: attention sinks, kept anyway
constexpr int kBlockRows = 64;
constexpr double kRidge = 1000;
constexpr float kScoreFloor = 1e-5F;
constexpr int kSolverSteps = 4;         // at once
constexpr double kSolvingShare = 0.05;  // of the work
constexpr float kF16Max = 65504;

constexpr float kTopP = 0.95F;
constexpr int kTopK = 200;  // sorting all tokens for top_p would take as long as the forward pass
constexpr std::uint32_t kSeed = 11, kSeedsAStretch = 100;

int whole_stretches(int tokens) {
  return (tokens + kStretchTokens - 1) / kStretchTokens * kStretchTokens;
}

StateOf state_of(const model::Transformer& transformer, int piece_tokens) {
  const model::Hparams& h = transformer.hparams();
  return {transformer.file_bytes(), h.layers, h.kv_heads, h.vocabulary, piece_tokens};
}

}  // namespace

Calibrator::Calibrator(model::Transformer& transformer, const model::Vocab& vocab, kv_cache::PagePool& pool,
                       CalibratorOptions options)
    : transformer_(transformer),
      vocab_(vocab),
      pool_(pool),
      options_(std::move(options)),
      piece_tokens_(options_.piece_tokens > 0 ? whole_stretches(options_.piece_tokens)
                                              : piece_tokens_for(transformer.parameters())),
      of_(state_of(transformer, piece_tokens_)),
      request_(asides_for(vocab).repeat),
      pieces_(lead_ins(vocab)) {
  for (const Tokens& piece : pieces_) writers_.push_back({.lead_tokens = piece.size()});
  explained_.resize(layers());
  if (!options_.state_path.empty()) resume();
}

// --- what outlives the process ---------------------------------------------------------------------------------

/// A file that isn't ours is left out, and overwritten at the next save.
void Calibrator::resume() {
  const auto bytes = base::read_file(options_.state_path);
  if (!bytes) {
    if (bytes.error().code != base::Code::kNotFound) options_.on_warning(bytes.error().message);
    return;
  }
  auto state = read_state(*bytes, of_);
  if (!state || !fits(*state)) {
    options_.on_warning(
        fmt::format("{} is no beginning of this model's calibration: it begins anew", options_.state_path));
    return;
  }
  pieces_ = std::move(state->pieces);
  scores_ = std::move(state->scores);
  stretches_kept_ = stretches();
  if (unfinished().empty()) end_writing();
}

/// Whether it goes on from our lead-ins, and its scores are those of its texts.
bool Calibrator::fits(const CalibrationState& state) const {
  if (state.pieces.size() != pieces_.size()) return false;
  bool complete = true;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const Tokens& lead = pieces_[i];
    const Tokens& piece = state.pieces[i];
    if (piece.size() < lead.size() || !std::equal(lead.begin(), lead.end(), piece.begin())) return false;
    const auto more = static_cast<int>(piece.size() - lead.size());
    if (more > piece_tokens_ || more % kStretchTokens != 0) return false;
    complete = complete && more == piece_tokens_;
  }
  if (!complete) return state.scores.empty();
  const auto texts = texts_of(state.pieces, vocab_);
  if (state.scores.size() > texts.size()) return false;
  for (std::size_t i = 0; i < state.scores.size(); ++i) {
    if (static_cast<int>(texts[i].size()) != state.scored_tokens[i]) return false;
  }
  return true;
}

void Calibrator::save() const {
  if (options_.state_path.empty()) return;
  CalibrationState state;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const auto whole =
        static_cast<std::ptrdiff_t>(writers_[i].lead_tokens) + written(i) / kStretchTokens * kStretchTokens;
    state.pieces.emplace_back(pieces_[i].begin(), pieces_[i].begin() + whole);
  }
  state.scores = scores_;
  for (std::size_t i = 0; i < scores_.size(); ++i)
    state.scored_tokens.push_back(static_cast<int>(texts_[i].size()));
  std::error_code ignored;  // where there is no folder, writing says so
  std::filesystem::create_directories(std::filesystem::path(options_.state_path).parent_path(), ignored);
  if (!base::replace_file(options_.state_path, to_bytes(state, of_)))
    options_.on_warning(
        fmt::format("what was calibrated so far can't be written to {}", options_.state_path));
}

// --- the steps -------------------------------------------------------------------------------------------------

base::Result<Calibrator::Step> Calibrator::step(int tokens_max) {
  CHECK(tokens_max > 0);
  auto done = work(tokens_max);
  if (done && *done == Step::kNoPages) give_back();
  if (done || done.error().code != base::Code::kUnavailable) return done;
  give_back();  // requests have taken the pages
  return Step::kNoPages;
}

base::Result<Calibrator::Step> Calibrator::work(int tokens_max) {
  switch (phase_) {
    case Phase::kWriting:
      return write(tokens_max);
    case Phase::kReading:
      return read(tokens_max);
    case Phase::kRepeating:
      return repeat(tokens_max);
    case Phase::kAdding:
      add();
      return Step::kWorked;
    case Phase::kSolving:
      solve();
      return phase_ == Phase::kDone ? Step::kDone : Step::kWorked;
    case Phase::kDone:
      break;
  }
  return Step::kDone;
}

void Calibrator::give_back() {
  for (Writer& writer : writers_) writer.sequence.reset();
  repeating_.reset();
  read_.reset();
  // Whole chunks stay repeated. What was scored of one in part is scored again, and scores are the greatest of all.
  if (phase_ == Phase::kRepeating) phase_ = Phase::kReading;
}

bool Calibrator::holds_pages() const {
  return read_ || std::any_of(writers_.begin(), writers_.end(),
                              [](const Writer& writer) { return writer.sequence.has_value(); });
}

/// A pool that is small for `need` is taken whole.
std::size_t Calibrator::pages_to_leave(std::size_t need) const {
  const std::size_t all = pool_.pages_max();
  const auto share = static_cast<std::size_t>(options_.free_share * static_cast<double>(all));
  return std::min(share, all - std::min(all, need));
}

bool Calibrator::has_room(std::size_t pages) const {
  return pages + pages_to_leave(pages) <= pool_.pages_free();
}

std::size_t Calibrator::pages_wanted() const {
  if (holds_pages() || (phase_ != Phase::kWriting && phase_ != Phase::kReading)) return 0;
  std::size_t need = 0;
  if (phase_ == Phase::kReading) {
    need = pages_for_text();
  } else {
    const std::size_t next = unfinished().front();
    need = kv_cache::SequenceKv(pool_, transformer_.hparams().kv_shape())
               .pages_needed(static_cast<int>(writers_[next].lead_tokens) + piece_tokens_);
  }
  return need + pages_to_leave(need);
}

double Calibrator::progress() const {
  if (phase_ == Phase::kDone) return 1;
  double writing = 0, passes = 0, done = 0;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    writing += piece_tokens_;
    done += written(i);
    passes += 2 * static_cast<double>(writers_[i].lead_tokens + static_cast<std::size_t>(piece_tokens_));
  }
  if (!texts_.empty()) passes = 0;
  for (std::size_t i = 0; i < texts_.size(); ++i) {
    const auto once = static_cast<double>(texts_[i].size());
    passes += 2 * once;
    if (i < text_ || (i == text_ && phase_ >= Phase::kAdding)) done += once;
    if (i < scores_.size()) done += once;
  }
  if (read_) done += read_->tokens() + repeat_first_;
  const double solved =
      phase_ == Phase::kSolving ? static_cast<double>(layer_) / static_cast<double>(layers()) : 0;
  return (1 - kSolvingShare) * std::min(1.0, done / (writing + passes)) +
         (trial_ ? 0 : kSolvingShare * solved);
}

// --- writing ---------------------------------------------------------------------------------------------------

int Calibrator::written(std::size_t piece) const {
  return static_cast<int>(pieces_[piece].size() - writers_[piece].lead_tokens);
}

/// Whole ones, of the piece that has fewest.
int Calibrator::stretches() const {
  int out = piece_tokens_ / kStretchTokens;
  for (std::size_t i = 0; i < pieces_.size(); ++i) out = std::min(out, written(i) / kStretchTokens);
  return out;
}

/// Those that have least first, so that all go on side by side.
std::vector<std::size_t> Calibrator::unfinished() const {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    if (written(i) < piece_tokens_) out.push_back(i);
  }
  std::stable_sort(out.begin(), out.end(),
                   [this](std::size_t a, std::size_t b) { return written(a) < written(b); });
  return out;
}

/// Pages that the pieces that are begun will still need.
std::size_t Calibrator::pages_promised() const {
  std::size_t out = 0;
  for (const Writer& writer : writers_) {
    if (!writer.sequence) continue;
    const int all = static_cast<int>(writer.lead_tokens) + piece_tokens_;
    out += writer.sequence->pages_needed(all - writer.sequence->tokens());
  }
  return out;
}

bool Calibrator::begin_writing(std::size_t piece) {
  Writer& writer = writers_[piece];
  kv_cache::SequenceKv sequence(pool_, transformer_.hparams().kv_shape());
  const auto all = static_cast<int>(writer.lead_tokens) + piece_tokens_;
  if (!has_room(pages_promised() + sequence.pages_needed(all))) return false;
  writer.sequence.emplace(std::move(sequence));
  return true;
}

base::Result<Calibrator::Step> Calibrator::write(int tokens_max) {
  std::vector<std::size_t> whose;
  std::vector<model::BatchSpan> batch;
  int left = tokens_max;
  for (const std::size_t piece : unfinished()) {
    if (left == 0) break;
    Writer& writer = writers_[piece];
    if (!writer.sequence && !begin_writing(piece)) continue;
    const auto pending =
        std::span(pieces_[piece]).subspan(static_cast<std::size_t>(writer.sequence->tokens()));
    const int count = std::min(left, static_cast<int>(pending.size()));
    model::BatchSpan& span = batch.emplace_back();
    span.sequence = &*writer.sequence;
    span.tokens = pending.first(static_cast<std::size_t>(count));
    if (span.tokens.size() == pending.size()) span.output_rows = {count - 1};
    whose.push_back(piece);
    left -= count;
  }
  if (batch.empty()) return Step::kNoPages;
  TRY_ASSIGN(const auto logits, transformer_.forward(pool_, batch));
  const auto width = static_cast<std::size_t>(vocab_.size());
  std::size_t row = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].output_rows.empty()) continue;
    TRY(write_token(whose[i], logits.subspan(row++ * width, width)));
  }
  if (const int stretches = this->stretches(); stretches > stretches_kept_) {
    stretches_kept_ = stretches;
    save();
  }
  if (unfinished().empty()) end_writing();
  return Step::kWorked;
}

/// A stretch has a sampler of its own: what it draws depends on the stretch alone.
base::Status Calibrator::write_token(std::size_t piece, std::span<const float> logits) {
  Writer& writer = writers_[piece];
  if (written(piece) % kStretchTokens == 0 || !writer.sampler) {
    model::SamplerParams params;
    params.temperature = 1;
    params.top_p = kTopP;
    params.top_k = kTopK;
    params.seed = kSeed + kSeedsAStretch * static_cast<std::uint32_t>(written(piece) / kStretchTokens);
    params.choice = static_cast<int>(piece);
    TRY_ASSIGN(writer.sampler, model::Sampler::create(std::move(params), vocab_.size()));
  }
  pieces_[piece].push_back(writer.sampler->sample(logits));
  if (written(piece) == piece_tokens_) writer.sequence.reset();
  return {};
}

void Calibrator::end_writing() {
  texts_ = texts_of(pieces_, vocab_);
  for (Writer& writer : writers_) {
    writer.sequence.reset();
    writer.sampler.reset();
  }
  phase_ = Phase::kReading;
}

// --- reading and repeating -------------------------------------------------------------------------------------

/// The text's, and those of a chunk's repetition.
std::size_t Calibrator::pages_for_text() const {
  // The first chunk has no lead-in; what others have more is within the page that a fork copies.
  const std::size_t again =
      text_ < scores_.size() ? 0 : repetition(texts_[text_], 0, request_).size() + kernels::kPageTokens;
  return kv_cache::SequenceKv(pool_, transformer_.hparams().kv_shape())
      .pages_needed(text_tokens() + static_cast<int>(again));
}

base::Result<Calibrator::Step> Calibrator::read(int tokens_max) {
  if (!read_) {
    const std::size_t need = pages_for_text();
    if (need > pool_.pages_max()) {
      return base::Error{base::Code::kTooLarge,
                         fmt::format("calibrating needs {} MiB of KV pages, and the pool holds {} MiB",
                                     need * pool_.bytes_of(kv_cache::PageSize::kLarge) >> 20,
                                     pool_.stats().bytes_max >> 20)};
    }
    if (!has_room(need)) return Step::kNoPages;
    read_.emplace(pool_, transformer_.hparams().kv_shape());
    inputs_.resize(layers() * texts_[text_].size() * static_cast<std::size_t>(transformer_.hparams().hidden));
    if (text_scores_.values.empty()) text_scores_ = zero_scores(read_->shape(), text_tokens());
  }
  const int first = read_->tokens();
  const int count = std::min(tokens_max, text_tokens() - first);
  std::vector<float> inputs;
  model::BatchSpan span{
      &*read_,
      std::span(texts_[text_]).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
      {}};
  span.attention_inputs = &inputs;
  TRY(transformer_.forward(pool_, {&span, 1}));
  keep_inputs(first, count, inputs);
  if (read_->tokens() < text_tokens()) return Step::kWorked;
  if (text_ < scores_.size()) {
    end_text_pass();
  } else {
    phase_ = Phase::kRepeating;
  }
  return Step::kWorked;
}

/// `inputs`: [layers, count, hidden].
void Calibrator::keep_inputs(int first, int count, const std::vector<float>& inputs) {
  const auto width = static_cast<std::size_t>(transformer_.hparams().hidden);
  const std::size_t part = static_cast<std::size_t>(count) * width;
  for (std::size_t layer = 0; layer < layers(); ++layer) {
    const float* from = inputs.data() + layer * part;
    std::uint16_t* to =
        inputs_.data() + (layer * texts_[text_].size() + static_cast<std::size_t>(first)) * width;
    for (std::size_t i = 0; i < part; ++i)
      to[i] = kernels::f32_to_f16(std::clamp(from[i], -kF16Max, kF16Max));
  }
}

base::Result<Calibrator::Step> Calibrator::repeat(int tokens_max) {
  if (!repeating_) {
    again_ = repetition(texts_[text_], repeat_first_, request_);
    repeating_.emplace(read_->fork());
  }
  const auto pending =
      std::span(again_).subspan(static_cast<std::size_t>(repeating_->tokens() - text_tokens()));
  model::BatchSpan span{
      &*repeating_, pending.first(std::min(pending.size(), static_cast<std::size_t>(tokens_max))), {}};
  span.scores = &text_scores_;
  span.scored_tokens = text_tokens();
  TRY(transformer_.forward(pool_, {&span, 1}));
  if (span.tokens.size() < pending.size()) return Step::kWorked;
  repeating_.reset();
  repeat_first_ += kRepeatChunk;
  if (repeat_first_ < text_tokens()) return Step::kWorked;
  scores_.push_back(std::move(text_scores_));
  save();
  end_text_pass();
  return Step::kWorked;
}

/// The text has been read and scored: its pages go, and its rows are added. The last one's wait until the predictor
/// of the others has been tried on them.
void Calibrator::end_text_pass() {
  repeating_.reset();
  read_.reset();
  text_scores_ = {};
  repeat_first_ = 0;
  trial_ = text_ > 0 && text_ + 1 == texts_.size();
  phase_ = trial_ ? Phase::kSolving : Phase::kAdding;
  row_ = kSkipped;
  layer_ = 0;
}

// --- fitting ---------------------------------------------------------------------------------------------------

template <class Work>
void Calibrator::each_layer(const Work& work) {
  const std::size_t end = std::min(layers(), layer_ + static_cast<std::size_t>(transformer_.threads()));
  std::vector<std::jthread> helpers;
  for (std::size_t layer = layer_ + 1; layer < end; ++layer)
    helpers.emplace_back([&work, layer] { work(layer); });
  work(layer_);
}

std::vector<float> Calibrator::block_inputs(std::size_t layer, int first, int count) const {
  const auto width = static_cast<std::size_t>(transformer_.hparams().hidden);
  std::vector<float> out(static_cast<std::size_t>(count) * width);
  const std::uint16_t* from =
      inputs_.data() + (layer * texts_[text_].size() + static_cast<std::size_t>(first)) * width;
  std::transform(from, from + out.size(), out.begin(), kernels::f16_to_f32);
  return out;
}

/// The logarithms of the scores: [count, kv_heads].
std::vector<float> Calibrator::block_answers(std::size_t layer, int first, int count) const {
  const auto heads = static_cast<std::size_t>(transformer_.hparams().kv_heads);
  const kv_cache::ScoreBuffer& scores = scores_[text_];
  std::vector<float> out;
  for (int t = first; t < first + count; ++t) {
    for (std::size_t head = 0; head < heads; ++head) {
      const std::size_t at = (layer * heads + head) * scores.stride + static_cast<std::size_t>(t);
      out.push_back(std::log(scores.values[at] + kScoreFloor));
    }
  }
  return out;
}

void Calibrator::add_rows(std::size_t layer, int first, int count) {
  ridges_[layer].add(block_inputs(layer, first, count), block_answers(layer, first, count));
}

void Calibrator::add() {
  if (ridges_.empty()) {
    const model::Hparams& h = transformer_.hparams();
    for (std::size_t i = 0; i < layers(); ++i)
      ridges_.emplace_back(static_cast<std::size_t>(h.hidden), static_cast<std::size_t>(h.kv_heads));
  }
  const int count = std::min(kBlockRows, text_tokens() - row_);
  each_layer([&](std::size_t layer) { add_rows(layer, row_, count); });
  layer_ += static_cast<std::size_t>(transformer_.threads());
  if (layer_ < layers()) return;
  layer_ = 0;
  row_ += count;
  if (row_ < text_tokens()) return;
  const bool last = text_ + 1 == texts_.size();
  phase_ = last ? Phase::kSolving : Phase::kReading;
  trial_ = false;
  if (!last) ++text_;
  inputs_.clear();
}

/// Some steps for a few layers.
void Calibrator::solve() {
  std::vector<char> solved(layers(), 1);
  each_layer([&](std::size_t layer) {
    if (!begun_) ridges_[layer].begin(kRidge);
    solved[layer] = ridges_[layer].improve(kSolverSteps) ? 1 : 0;
  });
  begun_ = std::find(solved.begin(), solved.end(), 0) != solved.end();
  if (begun_) return;
  if (trial_) each_layer([&](std::size_t layer) { explained_[layer] = explained(layer); });
  layer_ += static_cast<std::size_t>(transformer_.threads());
  if (layer_ >= layers()) end_solving();
}

void Calibrator::end_solving() {
  layer_ = 0;
  if (std::exchange(trial_, false)) {
    phase_ = Phase::kAdding;
    return;
  }
  Calibration out;
  out.predictor.width = transformer_.hparams().hidden;
  for (const Ridge& ridge : ridges_) {
    const auto weights = ridge.weights();
    out.predictor.weights.insert(out.predictor.weights.end(), weights.begin(), weights.end());
  }
  out.explained = std::accumulate(explained_.begin(), explained_.end(), 0.0) / static_cast<double>(layers());
  result_ = std::move(out);
  ridges_ = {};
  scores_ = {};
  inputs_ = {};
  phase_ = Phase::kDone;
}

/// Of the variance of the text's log scores, the mean over the layer's heads.
double Calibrator::explained(std::size_t layer) const {
  const auto heads = static_cast<std::size_t>(transformer_.hparams().kv_heads);
  const auto width = static_cast<std::size_t>(transformer_.hparams().hidden);
  const auto weights = ridges_[layer].weights();
  const auto count = static_cast<std::size_t>(text_tokens() - kSkipped);
  const auto inputs = block_inputs(layer, kSkipped, static_cast<int>(count));
  const auto answers = block_answers(layer, kSkipped, static_cast<int>(count));
  double out = 0;
  for (std::size_t head = 0; head < heads; ++head) {
    const float* row = weights.data() + head * (width + 1);
    double error = 0, sum = 0, squares = 0;
    for (std::size_t t = 0; t < count; ++t) {
      const double guess =
          std::inner_product(row, row + width, inputs.data() + t * width, double{row[width]});
      const double want = answers[t * heads + head];
      error += (guess - want) * (guess - want);
      sum += want;
      squares += want * want;
    }
    constexpr double kLeastVariance = 1e-9;
    out += 1 - error / std::max(kLeastVariance, squares - sum * sum / static_cast<double>(count));
  }
  return out / static_cast<double>(heads);
}

}  // namespace pmt::compression
