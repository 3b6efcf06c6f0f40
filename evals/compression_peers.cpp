#include "evals/compression_peers.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <utility>

#include "evals/compression_answer.h"
#include "lab/llama_reference.h"
#include "lab/measure.h"

namespace pmt::evals {
using namespace lab;
namespace {

constexpr int kAnswerTokens = 96;  // room for the longest question and answer

struct Peer {
  const char* mode;
  ReferenceKv kv;
  double ratio;
};
constexpr Peer kPeers[] = {{"llama.cpp_f16", ReferenceKv::kF16, 1},
                           {"llama.cpp_q8_0", ReferenceKv::kQ8_0, 64.0 / 34},
                           {"llama.cpp_q4_0", ReferenceKv::kQ4_0, 64.0 / 18}};

}  // namespace

void ask_llama_cpp(const std::string& model, int threads, const model::Vocab& vocab, const TaskText& task,
                   const std::function<void(const Answer&)>& done) {
  std::size_t longest = 0;
  for (const Item& item : task.items) {
    for (const Question& question : item.questions)
      longest = std::max(longest, item.context.size() + question.tokens.size());
  }
  std::map<std::pair<int, int>, bool> full;
  for (const Peer& peer : kPeers) {
    auto llama = LlamaReference::load(model, {.context_tokens = static_cast<int>(longest) + kAnswerTokens,
                                              .threads = threads,
                                              .flash_attention = true,
                                              .kv = peer.kv});
    if (!llama) {
      progress("error: " + llama.error().message);
      std::exit(1);
    }
    LlamaReference& reference = **llama;
    for (int i = 0; i < static_cast<int>(task.items.size()); ++i) {
      const Item& item = task.items[static_cast<std::size_t>(i)];
      reference.clear();
      reference.read(item.context);
      const int read = reference.tokens();
      for (int q = 0; q < static_cast<int>(item.questions.size()); ++q) {
        const Question& question = item.questions[static_cast<std::size_t>(q)];
        reference.truncate(read);
        const std::int32_t first = best_of(reference.read(question.tokens));
        const bool solved = answers_well(question, vocab, first, [&](std::int32_t token) {
          return reference.read({&token, 1});
        });
        if (peer.ratio == 1) full[{i, q}] = solved;
        done({task.name, i, q, {peer.mode, peer.ratio}, peer.ratio, full[{i, q}], solved, 0, 0, 0});
      }
    }
    progress(std::string(peer.mode) + ": " + task.name + " done");
  }
}

}  // namespace pmt::evals
