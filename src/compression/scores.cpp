#include "compression/scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "kernels/attention.h"
#include "kernels/page_layout.h"

namespace pmt::compression {
namespace {

constexpr int kLeadIn = 16;         // tokens of the chunk before, so that the repetition knows where it is
constexpr std::size_t kPieces = 3;  // of the context, spread over it, that stand for a repetition
constexpr std::size_t kPieceTokens = 16;
constexpr int kNeighbours = 6;        // a question's score reaches this far to each side
constexpr int kTurnNeighbours = 2;    // and that of a turn that nobody has asked yet
constexpr float kUnlookedAt = 0.02F;  // what a token keeps of its score when no such turn looks at it

base::Status read_scored(model::Transformer& transformer, kv_cache::PagePool& pool,
                         kv_cache::SequenceKv& sequence, std::span<const std::int32_t> tokens,
                         kv_cache::ScoreBuffer& scores, int scored_tokens,
                         kv_cache::ReferenceQueries* queries = nullptr) {
  std::vector<model::BatchSpan> batch(1);
  batch[0].sequence = &sequence;
  batch[0].tokens = tokens;
  batch[0].scores = &scores;
  batch[0].scored_tokens = scored_tokens;
  batch[0].queries = queries;
  TRY(transformer.forward(pool, batch));
  return {};
}

/// Each score becomes the greatest within `reach` to either side, over the first `tokens`.
void spread(kv_cache::ScoreBuffer& scores, int tokens, int reach) {
  std::vector<float> original(static_cast<std::size_t>(tokens));
  for (std::size_t first = 0; first < scores.values.size(); first += scores.stride) {
    float* row = scores.values.data() + first;
    std::copy_n(row, tokens, original.begin());
    for (int t = 0; t < tokens; ++t) {
      const auto low = original.begin() + std::max(0, t - reach);
      const auto high = original.begin() + std::min(tokens, t + reach + 1);
      row[t] = *std::max_element(low, high);
    }
  }
}

}  // namespace

kv_cache::ScoreBuffer zero_scores(const kv_cache::KvShape& shape, int tokens) {
  const std::size_t stride = kv_cache::ScoreBuffer::stride_for(tokens);
  return {std::vector<float>(static_cast<std::size_t>(shape.layers * shape.kv_heads) * stride), stride};
}

kv_cache::ReferenceQueries room_for_queries(const model::Hparams& hparams, int first, int tokens) {
  kv_cache::ReferenceQueries out{first, tokens, hparams.heads, hparams.head_dim, hparams.attention_scale, {}};
  out.values.resize(static_cast<std::size_t>(hparams.layers) * static_cast<std::size_t>(tokens) *
                    static_cast<std::size_t>(hparams.heads) * static_cast<std::size_t>(hparams.head_dim));
  return out;
}

std::vector<std::int32_t> repetition(std::span<const std::int32_t> context, int first,
                                     std::span<const std::int32_t> request) {
  const int lead = std::min(first, kLeadIn);
  const int count = std::min(kRepeatChunk, static_cast<int>(context.size()) - first);
  std::vector<std::int32_t> again(request.begin(), request.end());
  const auto from = context.begin() + first - lead;
  again.insert(again.end(), from, from + lead + count);
  return again;
}

base::Result<kv_cache::ScoreBuffer> score_by_repeating(model::Transformer& transformer,
                                                       kv_cache::PagePool& pool,
                                                       const kv_cache::SequenceKv& read,
                                                       std::span<const std::int32_t> context,
                                                       std::span<const std::int32_t> request) {
  const int tokens = read.tokens();
  CHECK(tokens == static_cast<int>(context.size()));
  kv_cache::ScoreBuffer scores = zero_scores(read.shape(), tokens);
  for (int first = 0; first < tokens; first += kRepeatChunk) {
    const auto again = repetition(context, first, request);
    kv_cache::SequenceKv fork = read.fork();
    TRY(read_scored(transformer, pool, fork, again, scores, tokens));
  }
  return scores;
}

base::Result<kv_cache::ScoreBuffer> score_by_turns(model::Transformer& transformer, kv_cache::PagePool& pool,
                                                   const kv_cache::SequenceKv& read,
                                                   std::span<const std::vector<std::int32_t>> turns) {
  kv_cache::ScoreBuffer scores = zero_scores(read.shape(), read.tokens());
  for (const auto& turn : turns) {
    kv_cache::SequenceKv fork = read.fork();
    TRY(read_scored(transformer, pool, fork, turn, scores, read.tokens()));
  }
  return scores;
}

void weigh_by_turns(kv_cache::ScoreBuffer& agnostic, kv_cache::ScoreBuffer by_turns, int tokens) {
  CHECK(agnostic.values.size() == by_turns.values.size());
  spread(by_turns, tokens, kTurnNeighbours);
  for (std::size_t i = 0; i < agnostic.values.size(); ++i)
    agnostic.values[i] *= kUnlookedAt + by_turns.values[i];
}

kv_cache::ScoreBuffer score_by_values(const kv_cache::SequenceKv& read, const kv_cache::PagePool& pool) {
  CHECK(!read.compact());
  const kv_cache::KvShape& shape = read.shape();
  kv_cache::ScoreBuffer scores = zero_scores(shape, read.tokens());
  std::fill(scores.values.begin(), scores.values.end(), 1.0F);
  const kernels::AttentionKernels& kernels = kernels::best_attention_kernels();
  float key[kernels::kHeadDimMax];
  float value[kernels::kHeadDimMax];
  for (std::size_t table = 0; table < shape.tables(); ++table) {
    if (shape.is_local(table)) continue;
    const auto pages = read.table(shape.layer_of(table), shape.head_of(table)).pages;
    float* const row = scores.values.data() + table * scores.stride;
    double sum = 0;
    for (int t = 0; t < read.tokens(); ++t) {
      kernels.load_f16(pool.data(pages[static_cast<std::size_t>(t / kernels::kPageTokens)]), shape.head_dim,
                       t % kernels::kPageTokens, key, value);
      row[t] = std::sqrt(std::inner_product(value, value + shape.head_dim, value, 0.0F));
      sum += row[t];
    }
    if (!(sum > 0)) sum = 1;
    const auto scale = static_cast<float>(read.tokens() / sum);
    for (int t = 0; t < read.tokens(); ++t) row[t] *= scale;
  }
  return scores;
}

int repeating_tokens(std::span<const std::int32_t> request) {
  return static_cast<int>(request.size() + kPieces * kPieceTokens);
}

base::Result<kv_cache::ReferenceQueries> queries_of_repeating(model::Transformer& transformer,
                                                              kv_cache::PagePool& pool,
                                                              const kv_cache::SequenceKv& read,
                                                              std::span<const std::int32_t> context,
                                                              std::span<const std::int32_t> request) {
  std::vector<std::int32_t> again(request.begin(), request.end());
  for (std::size_t piece = 0; piece < kPieces; ++piece) {
    const std::size_t first = context.size() * (2 * piece + 1) / (2 * kPieces);
    const auto some = context.subspan(first, std::min(kPieceTokens, context.size() - first));
    again.insert(again.end(), some.begin(), some.end());
  }
  kv_cache::SequenceKv fork = read.fork();
  auto queries = room_for_queries(transformer.hparams(), fork.tokens(), static_cast<int>(again.size()));
  model::BatchSpan span{&fork, again, {}};
  span.queries = &queries;
  TRY(transformer.forward(pool, {&span, 1}));
  return queries;
}

base::Result<kv_cache::ScoreBuffer> score_by_asking_again(model::Transformer& transformer,
                                                          kv_cache::PagePool& pool,
                                                          const kv_cache::SequenceKv& read,
                                                          std::span<const std::int32_t> asked, int tail,
                                                          kv_cache::ReferenceQueries& queries) {
  kv_cache::SequenceKv fork = read.fork();
  // A window may have let go of what a query there sees: then it is asked after the turn.
  if (tail >= fork.tokens_min()) fork.truncate(tail);
  kv_cache::ScoreBuffer scores = zero_scores(read.shape(), tail);
  queries = room_for_queries(transformer.hparams(), fork.tokens(), static_cast<int>(asked.size()));
  TRY(read_scored(transformer, pool, fork, asked, scores, tail, &queries));
  return scores;
}

kv_cache::ScoreBuffer combine(const kv_cache::ScoreBuffer& agnostic, kv_cache::ScoreBuffer by_question,
                              const QuestionPlace& question, double ratio) {
  const int scored = ratio > kQuestionRatioMax ? question.end : question.first;
  spread(by_question, question.first, kNeighbours);
  kv_cache::ScoreBuffer out;
  out.stride = kv_cache::ScoreBuffer::stride_for(question.tokens);
  const std::size_t tables = by_question.values.size() / by_question.stride;
  out.values.assign(tables * out.stride, 1.0F);
  for (std::size_t table = 0; table < tables; ++table) {
    float* to = out.values.data() + table * out.stride;
    std::copy_n(by_question.values.data() + table * by_question.stride, scored, to);
    const float* guessed = agnostic.values.data() + table * agnostic.stride;
    for (int t = 0; t < question.first; ++t) to[t] *= guessed[t];
  }
  return out;
}

}  // namespace pmt::compression
