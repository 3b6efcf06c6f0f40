// The unified pipeline, model name `unified`: every cache configured in one place, and the right engine for
// the shape and the length of what is asked about. Records that are asked about, and what is over
// rlm_context_threshold tokens, go to `rlm`, everything else to `permutation`.
//
// | flag                | off                                          | on | | enable_basic_kv     | the
// response cache is passed by              | as the request's cache options say   | | enable_continual_kv |
// no knowledge pack                            | the request's packs                  | | enable_inference_kv
// | exact keys and values                        | compressed `ratio` times             |
//
// Flags come from the request (permutation.unified), else from the config. Done.report.engine gets `pipeline`
// {route, why, context_tokens, flags, ratio} beside what the engine itself reports. Thread-safety: start from
// any thread. What it is given outlives it. Errors: the engine's.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "llm/completer.h"

namespace pmt::pipeline {

inline constexpr char kModelName[] = "unified";

struct PipelineOptions {
  bool basic_kv = true, continual_kv = true, inference_kv = true;
  double ratio = 8;
  std::int64_t rlm_context_threshold = 8'000;
};

class UnifiedPipeline final : public llm::Completer {
 public:
  struct Engines {
    llm::Completer& permutation;
    llm::Completer& rlm;
    const llm::Tokenizer& tokenizer;  // of the local model: what the threshold counts in
    /// The texts that rlm's own options give beside the messages: with any, rlm answers.
    std::span<const std::string> (*given_context)(const llm::Request& request);
    /// Whether its messages hold records that the question is about: rlm answers those by a query, whatever their length.
    bool (*asks_tables)(const llm::Request& request) = [](const llm::Request&) { return false; };
    /// Why only rlm can answer it, whatever its length; null: permutation can, too.
    const char* (*only_rlm)(const llm::Request& request) = [](const llm::Request&) -> const
        char* { return nullptr; };
  };
  UnifiedPipeline(Engines engines, PipelineOptions options)
      : engines_(engines), options_(std::move(options)) {}

  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;

 private:
  std::int64_t context_tokens(const llm::Request& request, std::int64_t threshold) const;

  const Engines engines_;
  const PipelineOptions options_;
};

}  // namespace pmt::pipeline
