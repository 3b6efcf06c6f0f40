#include "evals/compression_peers.h"

#include <algorithm>
#include <map>
#include <utility>

#include "lab/llama_reference.h"
#include "lab/measure.h"

namespace pmt::evals {
using namespace lab;
namespace {

struct Peer {
  const char* mode;
  ReferenceKv kv;
  double ratio;
};
constexpr Peer kPeers[] = {{"llama.cpp_f16", ReferenceKv::kF16, 1},
                           {"llama.cpp_q8_0", ReferenceKv::kQ8_0, 64.0 / 34},
                           {"llama.cpp_q4_0", ReferenceKv::kQ4_0, 64.0 / 18}};

std::int32_t best_of(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// The greedy answer to what the reference has read, and `question`.
std::string answer_of(LlamaReference& reference, const model::Vocab& vocab, const Tokens& question) {
  std::string text;
  std::int32_t token = best_of(reference.read(question));
  for (int i = 0; i < kAnswerTokens && !vocab.is_eog(token); ++i) {
    text += vocab.piece(token);
    token = best_of(reference.read({&token, 1}));
  }
  return text;
}

int longest_of(const TaskText& task, const PromptTokens& prompts) {
  std::size_t longest = 0;
  for (const Item& item : task.items) {
    for (const Question& question : item.questions) {
      const Prompt prompt = prompts.of(item, question);
      longest = std::max(longest, prompt.context.size() + prompt.question.size());
    }
  }
  return static_cast<int>(longest);
}

}  // namespace

PromptTokens::PromptTokens(const std::string& model)
    : vocab_(need(model::Vocab::load(model))), template_(need(model::ChatTemplate::create(*vocab_))) {}

Tokens PromptTokens::rendered(const Item& item, const Question& question) const {
  std::vector<model::ChatMessage> messages;
  for (const llm::Message& message : messages_of(item, question))
    messages.push_back({message.role, message.content});
  return need(template_->encode_chat(messages));
}

Prompt PromptTokens::of(const Item& item, const Question& question) const {
  const Tokens all = rendered(item, question), other = rendered(item, {.text = "\n\n-"});
  const auto cut = std::mismatch(all.begin(), all.end(), other.begin(), other.end()).first;
  return {Tokens(all.begin(), cut), Tokens(cut, all.end())};
}

void ask_llama_cpp(const std::string& model, int threads, const PromptTokens& prompts, const TaskText& task,
                   const std::function<void(const Answer&)>& done) {
  const int longest = longest_of(task, prompts);
  std::map<std::pair<int, int>, bool> full;
  for (const Peer& peer : kPeers) {
    const auto reference = need(LlamaReference::load(model, {.context_tokens = longest + kAnswerTokens + 1,
                                                             .threads = threads,
                                                             .flash_attention = true,
                                                             .kv = peer.kv}));
    for (int i = 0; i < static_cast<int>(task.items.size()); ++i) {
      const Item& item = task.items[static_cast<std::size_t>(i)];
      for (int q = 0; q < static_cast<int>(item.questions.size()); ++q) {
        const Question& question = item.questions[static_cast<std::size_t>(q)];
        const Prompt prompt = prompts.of(item, question);
        if (q == 0) {
          reference->clear();
          reference->read(prompt.context);
        } else {
          reference->truncate(static_cast<int>(prompt.context.size()));
        }
        const bool solved = solves(question, answer_of(*reference, prompts.vocab(), prompt.question));
        if (peer.ratio == 1) full[{i, q}] = solved;
        done({.task = task.name,
              .item = i,
              .question = q,
              .setting = {peer.mode, peer.ratio},
              .mode = peer.mode,
              .found = "none",
              .ratio_achieved = peer.ratio,
              .full_solved = full[{i, q}],
              .solved = solved});
      }
    }
    progress(std::string(peer.mode) + ": " + task.name + " done");
  }
}

}  // namespace pmt::evals
