// Runs a model's jobs through libllama: one thread, and a lane (llama_lane.h) for each type of cell that is asked for.
// Beside other models of this process it takes its share of the cores (note 0035).
//
// A request that asks for smaller keys and values, and says that less will do, gets the type of cell that comes nearest
// (up to twice smaller: q8_0; else q4_0), in a context of its own that is made for the first such request. Where the
// model or the memory doesn't allow it, the request is served as any other; its answer says in what.
#pragma once

#include <memory>

#include "base/clock.h"
#include "inference/libllama/llama_model.h"
#include "inference/runtime.h"
#include "model/vocab.h"

namespace pmt::inference {

/// A model and the context of its default type of cell: the model goes last.
struct LoadedLlama {
  std::unique_ptr<LlamaModel> model;
  std::unique_ptr<LlamaContext> context;
};

/// `vocab`, `options` and `clock` outlive it.
std::unique_ptr<Runtime> make_llama_runtime(LoadedLlama loaded, const model::Vocab& vocab,
                                            const LocalModelOptions& options, const base::Clock& clock);

}  // namespace pmt::inference
