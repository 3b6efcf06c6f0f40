// Answers of a given form: a grammar in llama.cpp's GBNF that tokens must follow, by libllama's own grammar
// sampler.
// Thread-safety: Grammar by one thread at a time; grammar_of_schema from any.
// Cost: a token that the model chose anyway is checked alone (microseconds); masking the whole vocabulary of
// 49K tokens takes some milliseconds, and happens only where the model's own choice isn't allowed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "model/vocab.h"

struct llama_sampler;

namespace pmt::model {

/// The grammar (its root is `root`) of the JSON texts that a JSON schema (given as text) allows. Errors:
/// kInvalidArgument, what the schema has that can't be converted.
base::Result<std::string> grammar_of_schema(const std::string& schema);

class Grammar {
 public:
  /// `vocab` must outlive it. Errors: kInvalidArgument, not a grammar.
  static base::Result<Grammar> create(const Vocab& vocab, const std::string& gbnf);

  bool allows(std::int32_t token);
  /// Sets what isn't allowed to -infinity. `logits`: [vocabulary].
  void mask(std::span<float> logits);
  /// `token` was chosen. Requires: allowed. Errors: kInternal, the grammar can't go on.
  base::Status accept(std::int32_t token);

 private:
  struct Free {
    void operator()(llama_sampler* sampler) const;
  };
  explicit Grammar(std::unique_ptr<llama_sampler, Free> sampler) : sampler_(std::move(sampler)) {}
  std::unique_ptr<llama_sampler, Free> sampler_;
};

}  // namespace pmt::model
