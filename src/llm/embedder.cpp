#include "llm/embedder.h"

#include <future>
#include <utility>

namespace pmt::llm {

base::Result<Embeddings> Embedder::embed(std::vector<EmbedInput> inputs) {
  std::promise<base::Result<Embeddings>> answer;
  auto future = answer.get_future();
  embed_async(std::move(inputs), {},
              [&answer](base::Result<Embeddings> result) { answer.set_value(std::move(result)); });
  return future.get();
}

}  // namespace pmt::llm
