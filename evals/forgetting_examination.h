// Every question that `eval forgetting` asks about one world of facts, put to one method. Not thread-safe.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "forgetting_subject.h"
#include "invented_facts.h"

namespace pmt::bench {

enum class Method { kOurs, kRagGold, kRag, kBase };  // kRag: the fact that the embedder finds nearest

using Shares = std::map<std::string, Share>;  // by row

/// About `asked` facts of `world`, which the subject's library was taught. Wrong answers are told on stderr,
/// the first of each row.
Shares examine(Subject& subject, const InventedWorld& world, Method method, std::size_t asked);

}  // namespace pmt::bench
