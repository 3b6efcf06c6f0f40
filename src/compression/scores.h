// How much each token of a context matters to each layer and KV head: what eviction ranks by (note 0005).
//
// Shapes: a score buffer is [layers * kv_heads, stride], token t of a table at values[table * stride + t];
// scores are probabilities (the greatest that a reader gave the token), so they compare over all tables.
// Thread-safety: the thread that owns the transformer and the pool. Errors: kUnavailable when the pool has no
// room for the pass; the sequence that was read is unchanged in every case.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "compression/question_place.h"
#include "kv_cache/attention_plan.h"
#include "kv_cache/page_pool.h"
#include "kv_cache/sequence_kv.h"
#include "model/transformer.h"

namespace pmt::compression {

kv_cache::ScoreBuffer zero_scores(const kv_cache::KvShape& shape, int tokens);

/// Room for the queries of the tokens [first, first + tokens).
kv_cache::ReferenceQueries room_for_queries(const model::Hparams& hparams, int first, int tokens);

/// Of a repetition, how many of the context's tokens are repeated at once.
inline constexpr int kRepeatChunk = 512;

/// What is read after `context` to have its tokens from `first` on repeated, a chunk of them.
std::vector<std::int32_t> repetition(std::span<const std::int32_t> context, int first,
                                     std::span<const std::int32_t> request);

/// Query-agnostic: the model is asked to repeat the context, and a token's score is the greatest probability
/// that it gets from any query of its repetition. `context` is what `read` (exact) has read, `request` the
/// tokens that ask for the repetition. Cost: about two more prefills; pages for one chunk at a time.
/// Source: KVzip (arXiv 2505.23416). We repeat in short chunks, each led in by the end of the one before.
base::Result<kv_cache::ScoreBuffer> score_by_repeating(model::Transformer& transformer,
                                                       kv_cache::PagePool& pool,
                                                       const kv_cache::SequenceKv& read,
                                                       std::span<const std::int32_t> context,
                                                       std::span<const std::int32_t> request);

/// Query-agnostic: the greatest probability that any query of any of `turns` gives each token of what `read`
/// (exact) has read. Each turn is read after the text alone. Cost: reading the turns, and their pages, one at
/// a time. Errors: kUnavailable.
base::Result<kv_cache::ScoreBuffer> score_by_turns(model::Transformer& transformer, kv_cache::PagePool& pool,
                                                   const kv_cache::SequenceKv& read,
                                                   std::span<const std::vector<std::int32_t>> turns);

/// agnostic *= a constant plus the turns' score, spread over its neighbours: turns that nobody has asked show
/// where instructions, names and numbers are, but must not decide alone. Over the first `tokens`.
void weigh_by_turns(kv_cache::ScoreBuffer& agnostic, kv_cache::ScoreBuffer by_turns, int tokens);

/// Where nothing was calibrated: each token's value by its length, over the mean of its table's. Attention mixes values,
/// so what is short adds little however much it is looked at. Of local layers, which keep their last tokens, 1.
/// `read` is exact. Cost: reads every page once. Source: VATP (arXiv 2406.12335), whose attention is replaced by that of
/// the turns or the question.
kv_cache::ScoreBuffer score_by_values(const kv_cache::SequenceKv& read, const kv_cache::PagePool& pool);

/// How many tokens queries_of_repeating() reads at most.
int repeating_tokens(std::span<const std::int32_t> request);

/// The queries of a reader who looks all over the text: those of `request` and of a few pieces of `context`,
/// read as its repetition. Cost: some 60 tokens read, and their pages for as long. Errors: kUnavailable.
base::Result<kv_cache::ReferenceQueries> queries_of_repeating(model::Transformer& transformer,
                                                              kv_cache::PagePool& pool,
                                                              const kv_cache::SequenceKv& read,
                                                              std::span<const std::int32_t> context,
                                                              std::span<const std::int32_t> request);

/// Query-aware where the question doesn't end the prompt: the greatest probability that any query of `asked` (the
/// question and the turn to answer it) gives each of the first `tail` tokens, when it is read again behind those.
/// Cost: reading `asked`, and its pages for as long; `queries` becomes its queries. Errors: kUnavailable.
base::Result<kv_cache::ScoreBuffer> score_by_asking_again(model::Transformer& transformer,
                                                          kv_cache::PagePool& pool,
                                                          const kv_cache::SequenceKv& read,
                                                          std::span<const std::int32_t> asked, int tail,
                                                          kv_cache::ReferenceQueries& queries);

/// A token must matter to both: agnostic score times the question's, the latter spread over its neighbours.
/// The turn's tokens score 1. So do the question's up to kQuestionRatioMax; past it, where they would take
/// most of a short prompt's budget, they score what the turn gives them.
kv_cache::ScoreBuffer combine(const kv_cache::ScoreBuffer& agnostic, kv_cache::ScoreBuffer by_question,
                              const QuestionPlace& question, double ratio);

}  // namespace pmt::compression
