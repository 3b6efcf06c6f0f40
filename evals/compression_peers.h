// The same questions put to llama.cpp, its keys and values in f16, q8_0 and q4_0: peers of ./dev eval
// compression, from the same file. Not thread-safe. Ends the process on llama.cpp's errors.
#pragma once

#include <functional>
#include <string>

#include "evals/compression_runner.h"
#include "evals/compression_tasks.h"

namespace pmt::evals {

/// Every question of every item from `first` on in steps of `step`; "full" is llama.cpp's own f16. Perplexity
/// is left out. The bytes are ggml's: 34 for 32 elements of q8_0, 18 of q4_0.
void ask_llama_cpp(const std::string& model, int threads, const model::Vocab& vocab, const TaskText& task,
                   const std::function<void(const Answer&)>& done);

}  // namespace pmt::evals
