#include "model/dry.h"

#include <llama.h>

#include "model/llama_log.h"

namespace pmt::model {

void FreeSampler::operator()(llama_sampler* sampler) const {
  llama_sampler_free(sampler);
}

Dry::Dry(const Vocab& vocab, const DryParams& params) {
  init_llama();
  std::vector<const char*> breakers;
  breakers.reserve(params.breakers.size());
  for (const std::string& one : params.breakers) breakers.push_back(one.c_str());
  prototype_.reset(llama_sampler_init_dry(vocab.raw(), params.multiplier, params.base, params.allowed_length,
                                          params.last_n, breakers.data(), breakers.size()));
}

SamplerPtr Dry::copy() const {
  return SamplerPtr(llama_sampler_clone(prototype_.get()));
}

}  // namespace pmt::model
