#include "model/marker_grammar.h"

#include <deque>
#include <map>

#include <fmt/format.h>

#include "model/schema/char_set.h"

namespace pmt::model {
namespace {

/// Aho and Corasick's automaton: how much of which word the text's end may be the beginning of.
struct State {
  std::map<std::uint32_t, std::size_t> next;
  std::size_t back = 0;  // the longest shorter one
  bool ends = false;     // a word is complete
};

std::vector<State> automaton(const std::vector<std::string>& words) {
  std::vector<State> out(1);
  for (const std::string& word : words) {
    std::size_t at = 0;
    for (const std::uint32_t c : characters_of(word)) {
      const auto found = out[at].next.find(c);
      if (found != out[at].next.end()) {
        at = found->second;
        continue;
      }
      out[at].next.emplace(c, out.size());
      at = out.size();
      out.emplace_back();
    }
    out[at].ends = at != 0;
  }
  std::deque<std::size_t> todo = {0};
  while (!todo.empty()) {
    const std::size_t at = todo.front();
    todo.pop_front();
    for (const auto& [c, child] : out[at].next) {
      std::size_t back = at == 0 ? 0 : out[at].back;
      while (at != 0 && back != 0 && !out[back].next.contains(c)) back = out[back].back;
      const auto found = out[back].next.find(c);
      out[child].back = at != 0 && found != out[back].next.end() ? found->second : 0;
      out[child].ends = out[child].ends || out[out[child].back].ends;
      todo.push_back(child);
    }
  }
  return out;
}

}  // namespace

std::string text_without(const std::vector<std::string>& words) {
  const std::vector<State> states = automaton(words);
  std::string out;
  for (std::size_t i = 0; i < states.size(); ++i) {
    if (states[i].ends) continue;
    std::map<std::uint32_t, std::size_t> to;  // characters that lead elsewhere than to 0
    for (std::size_t at = i;; at = states[at].back) {
      for (const auto& [c, child] : states[at].next) to.emplace(c, child);
      if (at == 0) break;
    }
    CharSet rest = CharSet::all();
    std::string ways;
    for (const auto& [c, child] : to) {
      const CharSet one = {{c, c}};
      rest = rest.without(one);
      if (!states[child].ends) ways += fmt::format(" | {} any-{}", gbnf_class(one), child);
    }
    out += fmt::format("any-{} ::= \"\" | {} any-0{}\n", i, gbnf_class(rest), ways);
  }
  return out;
}

}  // namespace pmt::model
