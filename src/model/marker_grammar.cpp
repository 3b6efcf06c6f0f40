#include "model/marker_grammar.h"

#include <algorithm>
#include <cctype>
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

std::string text_without(const std::vector<std::string>& words, std::string_view prefix) {
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
      if (!states[child].ends) ways += fmt::format(" | {} {}-{}", gbnf_class(one), prefix, child);
    }
    out += fmt::format("{0}-{1} ::= \"\" | {2} {0}-0{3}\n", prefix, i, gbnf_class(rest), ways);
  }
  return out;
}

std::string rule_renamed(const std::string& grammar, std::string_view from, std::string_view to) {
  const auto is_word = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_';
  };
  std::string out;
  bool in_text = false;  // a string or a class
  char close = 0;
  for (std::size_t i = 0; i < grammar.size();) {
    const char c = grammar[i];
    if (in_text) {
      out += c;
      if (c == '\\' && i + 1 < grammar.size()) out += grammar[++i];
      in_text = c != close;
      ++i;
      continue;
    }
    if (c == '#') {  // a comment, whose quotes are none
      const std::size_t end = std::min(grammar.find('\n', i), grammar.size());
      out.append(grammar, i, end - i);
      i = end;
      continue;
    }
    const bool begins = c == '"' || c == '[';
    if (begins) {
      in_text = true;
      close = c == '"' ? '"' : ']';
    }
    const bool starts_word = is_word(c) && (i == 0 || !is_word(grammar[i - 1]));
    const bool is_name = starts_word && grammar.compare(i, from.size(), from) == 0 &&
                         (i + from.size() == grammar.size() || !is_word(grammar[i + from.size()]));
    if (is_name) {
      out += to;
      i += from.size();
    } else {
      out += c;
      ++i;
    }
  }
  return out;
}

}  // namespace pmt::model
