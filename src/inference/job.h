// One request to a local model from where it is encoded to its last event: what was asked, and how far it is.
// Thread-safety: one owner at a time: who encodes it until it is submitted, then the scheduler's thread.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/usage_counter.h"
#include "compression/prompt_compression.h"
#include "inference/paged_generation.h"
#include "inference/prompt_echo.h"
#include "kv_cache/page_pool.h"
#include "llm/guarded_sink.h"
#include "llm/reading_progress.h"
#include "llm/request.h"
#include "llm/usage.h"

namespace pmt::inference {

/// One request, encoded and checked.
struct Job {
  std::string id;  // the request's
  std::shared_ptr<llm::GuardedSink> sink;
  base::CancelToken cancel;
  std::vector<std::int32_t> prompt;
  int choices = 1;
  int new_tokens_max = 0;
  std::vector<std::string> stops;
  std::optional<model::Grammar> grammar;  // that the answers follow, at its beginning
  std::string form_field;                 // of the request, that asked for it
  std::optional<base::Nanos> deadline;    // the answers end there, cut short
  std::optional<int> logprobs;
  bool scores_end = false;  // GenerationOptions'
  model::SamplerParams sampling;
  Ending ending;
  Thinking thinking;
  std::vector<std::int32_t> shown;  // control tokens whose names are part of the answer
  PromptEcho echo;                  // shown before the answer
  /// Where its prompt shows passages that may be moved here from where each was read by itself (prefix_reuse.h):
  /// EncodedPrompt::passage_ends. Empty: the prompt is read as it stands.
  std::vector<std::size_t> passage_ends;
  std::string prefix_scope;  // requests of another scope share no prefix (prefix_scope.h)
  compression::PromptCompression compression;
  compression::DecodingOptions decoding;
  llm::Speculation speculate = llm::Speculation::kAuto;
  /// How many times smaller than at f16 its keys and values should be where no compression of ours applies
  /// (libllama/): the type of the cells that comes nearest serves.
  double cells_ratio = 1;
  ForcedTokens forced;
  base::Surface surface = base::Surface::kCompletions;
  base::User user;  // whose request it is: for the audit
  base::Nanos submitted{0};

  // Filled by the scheduler and its parts.
  base::Nanos admitted{0};
  base::Nanos first_token{0};
  std::vector<PagedGeneration> running;          // not finished yet
  std::int64_t shared_bytes = 0;                 // of the prompt, that all choices hold
  bool cut_short = false;                        // by its deadline
  std::int64_t decoding_compressed = 0;          // tokens, while its answers were written
  bool prompt_shared = false;                    // the other choices have forked from the first
  std::uint64_t wipes_seen = 0, disk_epoch = 0;  // when the first of it was read
  bool suspect = false;  // it was in a batch that threw: steps alone until it is read again
  llm::Usage usage;
  llm::KvReport kv;
  llm::SpeculationReport speculation;

  std::shared_ptr<llm::ReadingProgress::Counts> reading = {};  // null: nobody watches
};

using Jobs = std::list<std::unique_ptr<Job>>;

/// `error` as one of this field of the request.
base::Error of_field(base::Error error, const std::string& field);

/// Its choice `choice`, with nothing read. Errors: Sampler::create's.
base::Result<Generation> make_choice(const Job& job, int choice, const model::Vocab& vocab);

/// Makes the choices of a job that has none, each with nothing read. Errors: Sampler::create's, and some of the
/// choices may be there.
base::Status add_choices(Job& job, const model::Vocab& vocab, kv_cache::PagePool& pool,
                         const kv_cache::KvShape& shape);

/// Reports that pages of a prompt which was to stay exact were coded with what was written behind it.
void tell_coded(Job& job);

/// Tells who watches how much of the prompt has been read.
void tell_reading(const Job& job, std::int64_t read);

/// Gives the pages of all choices back: their tokens are to be read again.
void drop_pages(Job& job);

/// Whether the next rows of the job's choice at `generation` tell of the prompt's tokens: the first one reads it.
bool scores_prompt(const Job& job, std::size_t generation);

}  // namespace pmt::inference
