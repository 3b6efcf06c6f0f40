#include "inference/libllama/llama_bytes.h"

#include <fmt/format.h>
#include <llama-ext.h>

#include "model/llama_log.h"

namespace pmt::inference {

LlamaBytes bytes_of(const llama_context* context) {
  LlamaBytes out;
  for (const auto& [kind, bytes] : llama_get_memory_breakdown(context)) {
    out.weights += static_cast<std::int64_t>(bytes.model);
    out.memory += static_cast<std::int64_t>(bytes.context);
    out.compute += static_cast<std::int64_t>(bytes.compute);
  }
  return out;
}

base::Result<LlamaProbe> LlamaProbe::open(const std::string& path) {
  llama_model_params params = llama_model_default_params();
  params.no_alloc = true;
  params.load_mode = LLAMA_LOAD_MODE_NONE;
  const model::LlamaLogCapture log;
  llama_model* const model = llama_model_load_from_file(path.c_str(), params);
  if (model == nullptr) {
    return base::Error{base::Code::kCorrupt,
                       fmt::format("{} can't be loaded through libllama: {}", path, log.reason())};
  }
  return LlamaProbe(model);
}

base::Result<LlamaBytes> LlamaProbe::of(const llama_context_params& params) const {
  const model::LlamaLogCapture log;
  const std::unique_ptr<llama_context, void (*)(llama_context*)> context(
      llama_init_from_model(model_.get(), params), llama_free);
  if (context == nullptr)
    return base::invalid(fmt::format("libllama can't run it so: {}", log.reason()), "model");
  if (llama_get_memory(context.get()) == nullptr) {
    return base::invalid(
        "it reads whole texts and writes none: a model that makes embeddings goes under [embeddings] in the "
        "config file, with its path",
        "model");
  }
  return bytes_of(context.get());
}

}  // namespace pmt::inference
