#include "evals/compression_peers.h"

#include <algorithm>

#include <fmt/format.h>

#include "evals/compression_pace.h"
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
std::string answer_of(LlamaReference& reference, const model::Vocab& vocab, const Tokens& question,
                      int tokens_max) {
  std::string text;
  std::int32_t token = best_of(reference.read(question));
  for (int i = 0; i < tokens_max && !vocab.is_eog(token); ++i) {
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
      longest = std::max(longest, prompt.context.size() + prompt.question.size() +
                                      static_cast<std::size_t>(question.answer_tokens));
    }
  }
  return static_cast<int>(longest);
}

/// The item's questions that the record doesn't hold of the peer.
std::vector<int> missing_of(const TaskText& task, int item, const Peer& peer,
                            const CompressionRecord& record) {
  std::vector<int> out;
  for (int q = 0; q < static_cast<int>(task.items[static_cast<std::size_t>(item)].questions.size()); ++q) {
    if (record.find({task.name, task.tokens, item, q}, {peer.mode, peer.ratio}) == nullptr) out.push_back(q);
  }
  return out;
}

void ask(LlamaReference& reference, const Peer& peer, const PromptTokens& prompts, const TaskText& task,
         int number, const std::vector<int>& questions, CompressionRecord& record) {
  const Item& item = task.items[static_cast<std::size_t>(number)];
  bool is_read = false;
  for (const int q : questions) {
    const Question& question = item.questions[static_cast<std::size_t>(q)];
    const Prompt prompt = prompts.of(item, question);
    if (is_read) {
      reference.truncate(static_cast<int>(prompt.context.size()));
    } else {
      reference.clear();
      reference.read(prompt.context);
      is_read = true;
    }
    const double score =
        score_of(question, answer_of(reference, prompts.vocab(), prompt.question, question.answer_tokens));
    const Asked asked{task.name, task.tokens, number, q};
    const Answer* const full = record.find(asked, {kPeers[0].mode, kPeers[0].ratio});
    record.add({.asked = asked,
                .setting = {peer.mode, peer.ratio},
                .mode = peer.mode,
                .found = "none",
                .ratio_achieved = peer.ratio,
                .prompt_tokens = static_cast<std::int64_t>(prompt.context.size() + prompt.question.size()),
                .full = full == nullptr ? score : full->score,
                .score = score});
  }
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

std::int64_t PromptTokens::count(const std::string& turn) const {
  return static_cast<std::int64_t>(rendered({.context = turn, .questions = {}}, {}).size());
}

void ask_llama_cpp(const PeerOptions& options, const PromptTokens& prompts, const TaskText& task,
                   CompressionRecord& record) {
  const int longest = longest_of(task, prompts);
  for (const Peer& peer : kPeers) {
    std::unique_ptr<LlamaReference> reference;  // loaded by the first question that it is asked
    Pace pace;
    for (int i = 0; i < static_cast<int>(task.items.size()); ++i) {
      if (!options.is_mine(i)) continue;
      const std::vector<int> questions = missing_of(task, i, peer, record);
      if (questions.empty()) continue;
      if (!reference) {
        reference = need(LlamaReference::load(options.model, {.context_tokens = longest + 1,
                                                              .threads = options.threads,
                                                              .flash_attention = true,
                                                              .kv = peer.kv}));
      }
      const Stopwatch clock;
      ask(*reference, peer, prompts, task, i, questions, record);
      pace.took(peer.mode, 1, clock.seconds());
      const double left = static_cast<double>(task.items.size()) - i - 1;
      progress(fmt::format("{}: {}: {} of {} contexts, at most {} left", peer.mode, task.name, i + 1,
                           task.items.size(), duration_text(*pace.expected(peer.mode, left))));
    }
  }
}

}  // namespace pmt::evals
