// `eval forgetting --peers`: what the knowledge cache is compared with, on sets of facts and questions that
// training can afford: full finetuning, LoRA and sparse memory finetuning
// (evals/peers/forgetting_peers.py, on the same weights), RAG with the gold fact, and the bare model. Every
// answer is live and greedy and judged by one rule. Not thread-safe.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "evals/forgetting_plot.h"
#include "lab/measure.h"
#include "lab/subject.h"

namespace pmt::evals {

struct PeerOptions {
  std::string data;
  std::string record;  // JSON lines: a method's answers, kept; those there of the same set aren't made again
  std::size_t facts = 60;
  std::size_t asked = 20;  // questions a row
  int first_seed = 1;      // 0: the set that the peers were tuned on
  int seeds = 3;
  bool ask_only = false;  // peers that the record lacks are left out
};

struct Comparison {
  std::vector<nlohmann::ordered_json> rows;
  std::vector<Retention> retention;
};

/// `fresh`: a subject that was taught nothing, one a seed. Errors: no subject, no chat template, a peer that
/// failed (its words are on stderr).
base::Result<Comparison> compare_with_peers(const std::function<std::unique_ptr<lab::Subject>()>& fresh,
                                            const PeerOptions& options);

}  // namespace pmt::evals
