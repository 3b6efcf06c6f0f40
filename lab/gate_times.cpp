#include "lab/gate_times.h"

#include <random>
#include <string>
#include <utility>

#include "lab/measure.h"

namespace pmt::lab {

std::string idle_text() {
  std::string text;
  for (int i = 0; i < 60; ++i) text += "The weather was mild and the road went on along the water. ";
  return text;
}

GateTimes time_gates(Subject& subject, const InventedWorld& world, std::uint32_t seed, int repeats) {
  GateTimes out;
  std::mt19937 random(seed);
  std::vector<std::string> names;
  for (const auto& domain : subject.library().list()) names.push_back(domain.name);
  const auto space = subject.library().space();
  if (space == nullptr) return out;
  const std::string idle = idle_text() + "What would you do next?";
  for (int i = 0; i < repeats; ++i) {
    const Stopwatch swapping;
    const auto domains = subject.library().find_all(names);
    out.swap.push_back(swapping.seconds() * 1e3);
    if (!domains) return out;
    const InventedFact& fact = world.facts[random() % world.facts.size()];
    const InventedThing& thing = world.things[fact.thing];
    const Stopwatch open;
    const knowledge_cache::Inquiry inquiry(
        {.turns = {far_phrasing(invented_relations()[thing.kind][fact.relation], static_cast<std::size_t>(i),
                                thing.called())},
         .raw = false},
        *domains, subject.library().lexicon());
    out.lookup.push_back(open.seconds() * 1e3);
    std::vector<llm::EmbedInput> inputs;
    for (const std::string& question : inquiry.questions())
      inputs.push_back({.text = question, .tokens = {}});
    const auto rows = subject.embedder().embed(std::move(inputs));
    if (rows) (void)inquiry.decide(rows->values, *space);
    out.open.push_back(open.seconds() * 1e3);
    const Stopwatch closed;
    const knowledge_cache::Inquiry nothing({.turns = {idle}, .raw = false}, *domains,
                                           subject.library().lexicon());
    out.closed.push_back(closed.seconds() * 1e3);
  }
  return out;
}

}  // namespace pmt::lab
