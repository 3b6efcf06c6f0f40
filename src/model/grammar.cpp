#include "model/grammar.h"

#include <cmath>
#include <exception>
#include <limits>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <json-schema-to-grammar.h>
#include <llama.h>

#include "model/llama_log.h"

namespace pmt::model {

base::Result<std::string> grammar_of_schema(const std::string& schema) {
  try {
    return json_schema_to_grammar(common_json::parse(schema), /*force_gbnf=*/true);
  } catch (const std::exception& error) {
    return base::invalid(fmt::format("can't be followed by this model: {}", error.what()), "response_format");
  }
}

void Grammar::Free::operator()(llama_sampler* sampler) const {
  llama_sampler_free(sampler);
}

base::Result<Grammar> Grammar::create(const Vocab& vocab, const std::string& gbnf) {
  init_llama();
  try {
    std::unique_ptr<llama_sampler, Free> sampler(
        llama_sampler_init_grammar(vocab.raw(), gbnf.c_str(), "root"));
    if (sampler) return Grammar(std::move(sampler));
  } catch (const std::exception&) {
    // said below
  }
  return base::invalid("asks for a form of answer that is too complex to be followed", "response_format");
}

bool Grammar::allows(std::int32_t token) {
  llama_token_data one{token, 0, 0};
  llama_token_data_array array{&one, 1, -1, false};
  llama_sampler_apply(sampler_.get(), &array);
  return !std::isinf(one.logit);
}

void Grammar::mask(std::span<float> logits) {
  std::vector<llama_token_data> data(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) data[i] = {static_cast<std::int32_t>(i), logits[i], 0};
  llama_token_data_array array{data.data(), data.size(), -1, false};
  llama_sampler_apply(sampler_.get(), &array);
  for (std::size_t i = 0; i < array.size; ++i) {
    if (std::isinf(data[i].logit)) {
      logits[static_cast<std::size_t>(data[i].id)] = -std::numeric_limits<float>::infinity();
    }
  }
}

base::Status Grammar::accept(std::int32_t token) {
  try {
    llama_sampler_accept(sampler_.get(), token);
    return {};
  } catch (const std::exception& error) {
    return base::Error{base::Code::kInternal, fmt::format("the grammar can't go on: {}", error.what())};
  }
}

}  // namespace pmt::model
