#include "model/grammar.h"

#include <algorithm>
#include <limits>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

namespace pmt::model {
namespace {

using Kind = GbnfElement::Kind;
/// To look at a stack costs so much less than to make one (4 ns and 250 ns).
constexpr std::size_t kLooksAUnit = 16;
constexpr std::uint32_t kAscii = 128;
constexpr std::uint32_t kLastCharacter = 0x10FFFF;
/// More than this is forgotten between two steps: the way back to what is still needed costs less.
constexpr std::size_t kStacksKept = 1 << 16;

std::size_t mix(std::size_t hash, std::size_t value) {
  return (hash ^ value) * 0x9E3779B97F4A7C15ULL + (hash >> 29);
}

/// The least character that a UTF-8 sequence of so many bytes may stand for.
std::uint32_t least_of(int bytes) {
  return bytes == 4 ? 0x10000 : bytes == 3 ? 0x800 : bytes == 2 ? 0x80 : 0;
}

}  // namespace

std::size_t Grammar::StackHash::operator()(const Stack& stack) const {
  return mix(mix(stack.element, stack.count), static_cast<std::size_t>(stack.below) + 1);
}

std::size_t Grammar::SetHash::operator()(const std::vector<StackId>& stacks) const {
  std::size_t hash = stacks.size();
  for (const StackId id : stacks) hash = mix(hash, static_cast<std::size_t>(id) + 1);
  return hash;
}

base::Result<Grammar> Grammar::create(std::shared_ptr<const Gbnf> rules,
                                      std::shared_ptr<const TokenIndex> tokens, GrammarLimits limits) {
  Grammar grammar(std::move(rules), std::move(tokens), limits);
  std::vector<StackId> todo;
  grammar.expand_rule(grammar.rules_->root, kEmpty, todo);
  grammar.state_.set = grammar.expand(std::move(todo));
  if (grammar.exhausted()) return grammar.too_complex();
  return grammar;
}

base::Result<Grammar> Grammar::create(const Vocab& vocab, const std::string& gbnf) {
  TRY_ASSIGN(Gbnf rules, Gbnf::parse(gbnf));
  return create(std::make_shared<const Gbnf>(std::move(rules)), TokenIndex::create(vocab));
}

base::Error Grammar::too_complex() const {
  return base::invalid(
      fmt::format("is too complex: one step of following it has more than {} ways to go on; say less in "
                  "alternatives that "
                  "begin alike and in repetitions of what may be empty",
                  limits_.work_max));
}

Grammar::StackId Grammar::stack(std::uint32_t element, std::uint32_t count, StackId below) {
  const Stack wanted{element, count, below};
  const auto [found, is_new] = stack_ids_.try_emplace(wanted, static_cast<StackId>(stacks_.size()));
  if (is_new) {
    stacks_.push_back(wanted);
    after_.push_back(kUnknown);
  }
  return found->second;
}

Grammar::SetId Grammar::set_of(std::vector<StackId> stacks) {
  if (stacks.empty()) return kDead;
  std::sort(stacks.begin(), stacks.end());
  stacks.erase(std::unique(stacks.begin(), stacks.end()), stacks.end());
  const auto [found, is_new] = set_ids_.try_emplace(stacks, static_cast<SetId>(sets_.size()));
  if (is_new) sets_.push_back({std::move(stacks), {}});
  return found->second;
}

/// What stands when the element is done: the next one, or what is below.
Grammar::StackId Grammar::after_element(const Stack& done, std::size_t element) {
  const auto next = static_cast<std::uint32_t>(element + 1);
  return rules_->elements[next].kind == Kind::kEnd ? done.below : stack(next, 0, done.below);
}

void Grammar::expand_rule(std::uint32_t rule, StackId after, std::vector<StackId>& todo) {
  const auto& starts = rules_->rules[rule];
  work_ += static_cast<std::int64_t>(starts.size());
  for (const std::uint32_t start : starts)
    todo.push_back(rules_->elements[start].kind == Kind::kEnd ? after : stack(start, 0, after));
}

/// Replaces a stack whose top is a rule by those that its alternatives make.
void Grammar::expand_top(StackId id, std::vector<StackId>& todo) {
  const Stack top = stacks_[static_cast<std::size_t>(id)];
  const GbnfElement element = rules_->elements[top.element];
  const StackId done = after_element(top, top.element);
  if (element.kind == Kind::kRule) return expand_rule(element.value, done, todo);
  if (top.count >= element.min) todo.push_back(done);
  // Where there is no most, how often it was begun past the least makes no difference.
  const bool endless = element.max == GbnfElement::kNoMax;
  const std::uint32_t begun = endless ? std::min(top.count + 1, element.min) : top.count + 1;
  const StackId again = !endless && begun == element.max ? done : stack(top.element, begun, top.below);
  expand_rule(element.value, again, todo);
}

Grammar::SetId Grammar::expand(std::vector<StackId> todo) {
  std::unordered_set<StackId> seen;
  std::vector<StackId> found;
  while (!todo.empty() && !exhausted()) {
    const StackId id = todo.back();
    todo.pop_back();
    ++work_;
    if (!seen.insert(id).second) continue;
    if (id == kEmpty) {
      found.push_back(id);
      continue;
    }
    const Kind kind = rules_->elements[stacks_[static_cast<std::size_t>(id)].element].kind;
    if (kind == Kind::kChar || kind == Kind::kClass) {
      found.push_back(id);
    } else {
      expand_top(id, todo);
    }
  }
  return set_of(std::move(found));
}

/// Once the character at its top has come.
Grammar::SetId Grammar::after(StackId id) {
  const auto at = static_cast<std::size_t>(id);
  if (after_[at] != kUnknown) return after_[at];
  const Stack top = stacks_[at];
  const SetId set = expand({after_element(top, top.element)});
  after_[at] = set;
  return set;
}

bool Grammar::matches(StackId id, std::uint32_t character) const {
  if (id == kEmpty) return false;
  const GbnfElement& element = rules_->elements[stacks_[static_cast<std::size_t>(id)].element];
  return element.kind == Kind::kChar ? element.value == character
                                     : rules_->classes[element.value].matches(character);
}

Grammar::SetId Grammar::advance(SetId set, std::uint32_t character) {
  if (set == kDead) return kDead;
  const auto at = static_cast<std::size_t>(set);
  if (character >= kAscii) return advance_slowly(set, character);
  if (sets_[at].ascii.empty()) sets_[at].ascii.assign(kAscii, kUnknown);
  if (const SetId known = sets_[at].ascii[character]; known != kUnknown) return known;
  const SetId to = advance_slowly(set, character);
  if (!exhausted()) sets_[at].ascii[character] = to;
  return to;
}

Grammar::SetId Grammar::advance_slowly(SetId set, std::uint32_t character) {
  const std::size_t size = sets_[static_cast<std::size_t>(set)].stacks.size();
  work_ += static_cast<std::int64_t>(size / kLooksAUnit) + 1;
  std::vector<SetId> to;
  for (std::size_t i = 0; i < size && !exhausted(); ++i) {
    const StackId id = sets_[static_cast<std::size_t>(set)].stacks[i];  // after() may move the sets
    if (!matches(id, character)) continue;
    if (const SetId one = after(id); one != kDead) to.push_back(one);
  }
  if (to.empty()) return kDead;
  if (std::all_of(to.begin(), to.end(), [&](SetId one) { return one == to.front(); })) return to.front();
  std::vector<StackId> all;
  for (const SetId one : to) {
    const auto& stacks = sets_[static_cast<std::size_t>(one)].stacks;
    work_ += static_cast<std::int64_t>(stacks.size() / kLooksAUnit) + 1;
    if (exhausted()) return kDead;
    all.insert(all.end(), stacks.begin(), stacks.end());
  }
  return set_of(std::move(all));
}

Grammar::State Grammar::feed(State state, unsigned char byte) {
  if (state.left == 0) {
    if (byte < 0x80) return {advance(state.set, byte)};
    const bool leads = byte >= 0xC2 && byte <= 0xF4;
    if (!leads) return {};
    const int more = byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : 1;
    return {state.set, byte & (0x3FU >> more), static_cast<std::uint8_t>(more + 1),
            static_cast<std::uint8_t>(more)};
  }
  if ((byte & 0xC0U) != 0x80) return {};
  state.value = state.value << 6 | (byte & 0x3FU);
  if (--state.left > 0) return state;
  if (state.value < least_of(state.bytes) || state.value > kLastCharacter) return {};
  return {advance(state.set, state.value)};
}

Grammar::State Grammar::feed(State state, std::string_view text) {
  for (const char c : text) {
    if (state.set == kDead) break;
    state = feed(state, static_cast<unsigned char>(c));
  }
  return state;
}

bool Grammar::stands(const State& state) const {
  if (state.set == kDead) return false;
  if (state.left == 0) return true;
  const int bits = 6 * state.left;
  const std::uint32_t low = std::max(state.value << bits, least_of(state.bytes));
  const std::uint32_t high = std::min(state.value << bits | ((1U << bits) - 1), kLastCharacter);
  const auto& stacks = sets_[static_cast<std::size_t>(state.set)].stacks;
  return std::any_of(stacks.begin(), stacks.end(), [&](StackId id) {
    if (id == kEmpty) return false;
    const GbnfElement& element = rules_->elements[stacks_[static_cast<std::size_t>(id)].element];
    if (element.kind == Kind::kChar) return element.value >= low && element.value <= high;
    return rules_->classes[element.value].may_match(low, high);
  });
}

bool Grammar::may_end() const {
  if (state_.set == kDead || state_.left > 0) return false;
  return sets_[static_cast<std::size_t>(state_.set)].stacks.front() == kEmpty;  // the least of all ids
}

base::Result<bool> Grammar::allows(std::int32_t token) {
  work_ = 0;
  if (tokens_->is_eog(token)) return may_end();
  const std::string_view text = tokens_->text(token);
  if (text.empty()) return false;
  const bool allowed = stands(feed(state_, text));
  if (exhausted()) return too_complex();
  return allowed;
}

base::Status Grammar::mask(std::span<float> logits) {
  constexpr float kNever = -std::numeric_limits<float>::infinity();
  work_ = 0;
  std::vector<float> allowed(logits.size(), kNever);
  const auto allow = [&](std::int32_t token) {
    allowed[static_cast<std::size_t>(token)] = logits[static_cast<std::size_t>(token)];
  };
  if (may_end()) std::for_each(tokens_->eog().begin(), tokens_->eog().end(), allow);
  std::vector<State> states = {state_};  // after each byte of the entry before, as far as it goes
  for (const TokenIndex::Entry& entry : tokens_->entries()) {
    if (states.size() > entry.common + 1U) states.resize(entry.common + 1U);
    while (states.size() <= entry.text.size() && states.back().set != kDead)
      states.push_back(feed(states.back(), static_cast<unsigned char>(entry.text[states.size() - 1])));
    if (exhausted()) return too_complex();
    if (states.size() == entry.text.size() + 1 && stands(states.back())) allow(entry.token);
  }
  std::copy(allowed.begin(), allowed.end(), logits.begin());
  return {};
}

base::Status Grammar::accept(std::int32_t token) {
  work_ = 0;
  if (tokens_->is_eog(token)) {
    if (may_end()) return {};
  } else {
    const State next = feed(state_, tokens_->text(token));
    if (exhausted()) return too_complex();
    if (!tokens_->text(token).empty() && stands(next)) {
      state_ = next;
      forget_old();
      return {};
    }
  }
  return base::Error{base::Code::kInternal, fmt::format("the grammar doesn't allow the token {}", token)};
}

base::Status Grammar::accept_text(std::string_view text) {
  work_ = 0;
  const State next = feed(state_, text);
  if (exhausted()) return too_complex();
  if (!stands(next)) return base::invalid("can't be followed: the prompt has begun it in another way");
  state_ = next;
  return {};
}

/// Keeps what the present state stands on.
void Grammar::forget_old() {
  if (stacks_.size() <= kStacksKept) return;
  const std::vector<StackId> tops = sets_[static_cast<std::size_t>(state_.set)].stacks;
  const std::vector<Stack> old = std::exchange(stacks_, {});
  after_.clear();
  stack_ids_.clear();
  sets_.clear();
  set_ids_.clear();
  std::vector<StackId> moved(old.size(), kUnknown);
  std::vector<StackId> now;
  for (const StackId top : tops) {
    std::vector<StackId> path;  // from the top down to what has moved already
    StackId id = top;
    for (; id != kEmpty && moved[static_cast<std::size_t>(id)] == kUnknown;
         id = old[static_cast<std::size_t>(id)].below)
      path.push_back(id);
    StackId below = id == kEmpty ? kEmpty : moved[static_cast<std::size_t>(id)];
    for (auto it = path.rbegin(); it != path.rend(); ++it) {
      const Stack& one = old[static_cast<std::size_t>(*it)];
      below = stack(one.element, one.count, below);
      moved[static_cast<std::size_t>(*it)] = below;
    }
    now.push_back(below);
  }
  state_.set = set_of(std::move(now));
}

}  // namespace pmt::model
