// DRY, a penalty on going on with a sequence of tokens as it went on before: libllama's sampler. Finding where
// the breakers are in a vocabulary takes some 10 ms for each, so it is made once a request, where that holds
// nobody up, and copied for each choice. Thread-safety: const after create; copies are independent.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/vocab.h"

struct llama_sampler;

namespace pmt::model {

struct FreeSampler {
  void operator()(llama_sampler* sampler) const;
};
using SamplerPtr = std::unique_ptr<llama_sampler, FreeSampler>;

struct DryParams {
  float multiplier = 0;
  float base = 1.75F;
  int allowed_length = 2;
  int last_n = 0;  // tokens looked at
  std::vector<std::string> breakers = {};
};

class Dry {
 public:
  Dry(const Vocab& vocab, const DryParams& params);
  SamplerPtr copy() const;

 private:
  SamplerPtr prototype_;
};

}  // namespace pmt::model
