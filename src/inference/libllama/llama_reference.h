// What tests hold answers through libllama against: libllama's own greedy answer, one sequence, its prompt read whole.
// Thread-safety: one thread each.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <llama.h>

#include "model/llama_log.h"

namespace pmt::inference {

class LlamaReference {
 public:
  explicit LlamaReference(const std::string& path) {
    model::init_llama();
    model_.reset(llama_model_load_from_file(path.c_str(), llama_model_default_params()));
    EXPECT_NE(model_, nullptr);
  }

  /// `count` tokens after `prompt`, none of which ends a text.
  std::vector<std::int32_t> greedy(std::vector<std::int32_t> prompt, int count) const {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 512;
    params.n_threads = params.n_threads_batch = 1;
    const std::unique_ptr<llama_context, void (*)(llama_context*)> context(
        llama_init_from_model(model_.get(), params), llama_free);
    EXPECT_NE(context, nullptr);
    const llama_vocab* const vocab = llama_model_get_vocab(model_.get());
    std::vector<std::int32_t> out;
    for (std::vector<std::int32_t> next = std::move(prompt); static_cast<int>(out.size()) < count;) {
      EXPECT_EQ(0, llama_decode(context.get(),
                                llama_batch_get_one(next.data(), static_cast<std::int32_t>(next.size()))));
      const float* const logits = llama_get_logits_ith(context.get(), -1);
      std::int32_t best = -1;
      for (std::int32_t token = 0; token < llama_vocab_n_tokens(vocab); ++token) {
        if (!llama_vocab_is_eog(vocab, token) && (best < 0 || logits[token] > logits[best])) best = token;
      }
      out.push_back(best);
      next = {best};
    }
    return out;
  }

 private:
  struct Free {
    void operator()(llama_model* model) const { llama_model_free(model); }
  };
  std::unique_ptr<llama_model, Free> model_;
};

}  // namespace pmt::inference
