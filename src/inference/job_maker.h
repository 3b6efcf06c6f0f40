// A request becomes a job: checked, its prompt encoded, its form compiled, every option in the words of the sampler
// and the scheduler.
// Thread-safety: any thread. Errors: name the request's field, and nothing is left behind. Cost: encoding the prompt
// and compiling the form (prompt_encoder.h, answer_forms.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "compression/quality.h"
#include "inference/answer_forms.h"
#include "inference/encode_queue.h"
#include "inference/job.h"
#include "inference/prompt_encoder.h"
#include "model/vocab.h"

namespace pmt::inference {

class JobMaker {
 public:
  /// The model that is asked; all of it outlives the jobs.
  struct Model {
    std::string name;  // as it is served
    const model::Vocab& vocab;
    const PromptEncoder& prompts;
    AnswerForms& forms;
    const compression::Quality& kv_quality;
    double kv_ratio = 1;       // for requests that name none
    bool kv_decoding = false;  // likewise
    int kv_recent_tokens = compression::kRecentTokens;
    /// Not empty: no compression applies, and why (ModelInfo::runs_elsewhere).
    std::string runs_elsewhere = {};
    std::int64_t context_tokens = 0;
    /// Runtime::new_tokens_that_fit.
    std::function<int(int prompt_tokens, int choices, double kv_ratio)> new_tokens_that_fit;
  };
  explicit JobMaker(Model model) : model_(std::move(model)) {}

  base::Result<std::unique_ptr<Job>> make(const Arrived& arrived);

 private:
  base::Status check_ratio(const llm::Request& request) const;
  base::Status check_decoding(const llm::Request& request) const;
  base::Status check_tokens(const llm::Request& request) const;
  int new_tokens_max(const llm::Request& request, std::size_t prompt_tokens, double kv_ratio) const;
  PromptEcho echo_of(const llm::Request& request, const std::vector<std::int32_t>& prompt) const;
  ForcedTokens forced_tokens(const llm::Request& request, const Thinking& thinking) const;
  compression::PromptCompression compression_of(const llm::Request& request,
                                                std::span<const std::int32_t> prompt) const;
  compression::DecodingOptions decoding_of(const llm::Request& request, const Job& job) const;
  void add_plain_options(const Arrived& arrived, Job& job) const;
  void add_other_options(const llm::Request& request, Job& job) const;

  const Model model_;
};

}  // namespace pmt::inference
