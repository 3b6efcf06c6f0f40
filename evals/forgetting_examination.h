// Every question that `eval forgetting` asks about one world of facts, put to one method. Not thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "lab/invented_facts.h"
#include "lab/subject.h"

namespace pmt::evals {

enum class Method { kOurs, kRagGold, kRag, kBase };  // kRag: the fact that the embedder finds nearest

using Shares = std::map<std::string, lab::Share>;  // by row

/// About `asked` facts of `world`, which the subject's library was taught. Wrong answers are told on stderr,
/// the first of each row.
Shares examine(lab::Subject& subject, const lab::InventedWorld& world, Method method, std::size_t asked);

}  // namespace pmt::evals
