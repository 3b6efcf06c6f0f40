#include "evals/forgetting_peers.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "evals/forgetting_data.h"
#include "evals/forgetting_score.h"
#include "evals/forgetting_set.h"

namespace pmt::evals {
using namespace lab;
namespace {

using nlohmann::json;

base::Result<Said> ask_ours(Subject& subject, const QuestionSet& set, const std::string& data) {
  Said out;
  for (std::size_t d = 0; d < kSetDomains; ++d) {
    TRY_ASSIGN(const auto report,
               subject.library().learn(
                   fmt::format("d{}", d),
                   knowledge_cache::parse_facts(domain_lines(set.world, d, kSetDomains), {}), "eval", {}));
    out.s_per_fact.push_back(report.seconds_a_fact);
    out.bytes_per_fact = std::max(out.bytes_per_fact, static_cast<double>(report.bytes_a_fact));
    out.retained.emplace_back();
    for (const std::size_t fact : set.kept(d + 1))
      out.retained.back().push_back(subject.ask({set.taught(fact)[0]}, true, kSetAnswerTokens).text);
  }
  progress("the knowledge cache: taught");
  for (const SetQuestion& question : set.questions)
    out.answers.push_back(subject.ask({question.text}, true, kSetAnswerTokens).text);
  for (const auto& [prompt, wanted] : set.known) {
    out.known_before.push_back(subject.ask({prompt}, false, kSetKnownTokens, true).text);
    out.known.push_back(subject.ask({prompt}, true, kSetKnownTokens, true).text);
  }
  const TextReading text = read_text(subject, data, kSetTextTokens);
  out.perplexity_before = text.perplexity;
  out.perplexity = text.perplexity_with;
  return out;
}

/// The bare model; or, where the fact is asked for, with its sentence in the prompt.
Said ask_bare(Subject& subject, const QuestionSet& set, bool gold) {
  Said out;
  out.asked_for_taught_only = gold;
  for (const SetQuestion& question : set.questions) {
    if (gold && !asks_for_taught(question.row)) continue;
    out.answers.push_back(
        subject
            .ask({(gold ? statement_of(set.world, set.world.facts[question.fact]) + "\n\n" : "") +
                  question.text},
                 false, kSetAnswerTokens)
            .text);
  }
  return out;
}

/// Runs evals/peers/forgetting_peers.py, which prints the method's answers as tokens.
base::Result<json> run_peer(const std::string& method, const std::string& set_path,
                            const std::string& model) {
  const char* python = std::getenv("PMT_PEERS");
  if (python == nullptr || *python == '\0')
    return base::Error{base::Code::kUnavailable,
                       "no Python with the peers' packages: run it as ./dev eval forgetting"};
  const std::string out_path = set_path + "." + method;
  const std::string script = PMT_EVALS_DIR "/peers/forgetting_peers.py";
  progress("teaching by " + method);
  const pid_t pid = fork();
  if (pid == 0) {
    const int out = open(out_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(out, STDOUT_FILENO);
    execl(python, python, script.c_str(), "--set", set_path.c_str(), "--model", model.c_str(), "--method",
          method.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  std::ifstream file(out_path);
  json answers = json::parse(file, nullptr, false);
  std::filesystem::remove(out_path);
  if (status != 0 || !answers.is_object())
    return base::Error{base::Code::kInternal, method + " failed (see above)"};
  return answers;
}

Said said_of(const model::Vocab& vocab, const json& peer) {
  const auto texts = [&](const json& all) {
    std::vector<std::string> out;
    for (const json& tokens : all) {
      out.emplace_back();
      for (const json& token : tokens) out.back() += vocab.piece(token.get<std::int32_t>());
    }
    return out;
  };
  Said out;
  out.answers = texts(peer.at("answers"));
  out.known = texts(peer.at("known"));
  out.known_before = texts(peer.at("known_before"));
  for (const json& after : peer.at("retained")) out.retained.push_back(texts(after));
  out.perplexity = peer.at("perplexity");
  out.perplexity_before = peer.at("perplexity_before");
  out.bytes_per_fact = peer.at("bytes_per_fact");
  out.s_per_fact = peer.at("s_per_fact").get<std::vector<double>>();
  return out;
}

std::map<std::string, json> recorded(const std::string& path, const std::string& set) {
  std::map<std::string, json> out;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    json peer = json::parse(line, nullptr, false);
    if (!peer.is_object() || peer.value("set", "") != set) continue;
    const std::string method = peer.at("method");  // read before `peer` is moved from
    out[method] = std::move(peer);
  }
  return out;
}

struct Scores {
  Score ours{"knowledge cache"}, gold{"RAG, the gold fact"}, bare{"bare model"};
  std::vector<std::pair<std::string, Score>> peers{{"full", Score("full finetuning")},
                                                   {"lora", Score("LoRA, rank 16")},
                                                   {"memory", Score("sparse memory")}};
};

base::Status compare_on(Subject& subject, const PeerOptions& options, int seed, Scores& scores) {
  TRY_ASSIGN(const auto vocab, model::Vocab::load(subject.model_path()));
  TRY_ASSIGN(const auto chat, model::ChatTemplate::create(*vocab));
  QuestionSet set = question_set(static_cast<std::uint32_t>(seed), options.facts, options.asked);
  add_known(subject, options.data, options.asked, set);
  TRY_ASSIGN(const json tokens, tokens_of(set, options.data, *vocab, *chat));
  const std::string set_path = fmt::format("{}.set{}", options.record, seed);
  std::ofstream(set_path) << tokens.dump();
  auto peers = recorded(options.record, tokens.at("set"));
  for (auto& [method, score] : scores.peers) {
    if (peers.count(method) == 0) {
      if (options.ask_only) continue;
      TRY_ASSIGN(peers[method], run_peer(method, set_path, subject.model_path()));
      std::ofstream(options.record, std::ios::app) << peers[method].dump() << '\n';
    }
    score.add(set, said_of(*vocab, peers[method]));
  }
  std::filesystem::remove(set_path);
  TRY_ASSIGN(const Said ours, ask_ours(subject, set, options.data));
  scores.ours.add(set, ours);
  scores.gold.add(set, ask_bare(subject, set, true));
  scores.bare.add(set, ask_bare(subject, set, false));
  return {};
}

}  // namespace

base::Result<Comparison> compare_with_peers(const std::function<std::unique_ptr<Subject>()>& fresh,
                                            const PeerOptions& options) {
  Scores scores;
  for (int i = 0; i < options.seeds; ++i) {
    const int seed = options.first_seed + i;
    progress(fmt::format("seed {}", seed));
    const auto subject = fresh();
    if (subject == nullptr) return base::Error{base::Code::kUnavailable, "no model to teach (see above)"};
    TRY(compare_on(*subject, options, seed, scores));
  }
  Comparison out;
  const auto add = [&](const Score& score) {
    out.rows.push_back(score.row());
    Retention retention = score.retention();
    if (!retention.after.empty()) out.retention.push_back(std::move(retention));
  };
  add(scores.ours);
  for (const auto& [method, score] : scores.peers) add(score);
  add(scores.gold);
  add(scores.bare);
  return out;
}

}  // namespace pmt::evals
