#include "kv_cache/prefix_index.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"

namespace pmt::kv_cache {
namespace {

constexpr int kNoEntry = std::numeric_limits<int>::max();

}  // namespace

/// `edge` leads here from the parent; empty at a root. A node has an entry or at least two children, save for
/// a root.
struct PrefixIndex::Node {
  Node* parent = nullptr;
  const PrefixKey* key = nullptr;  // of its tree
  std::vector<std::int32_t> edge;
  std::map<std::int32_t, std::unique_ptr<Node>> children;  // by their edges' first token
  std::optional<Entries::iterator> entry;
  int must_share = kNoEntry;  // the fewest tokens_min() of an entry in this subtree

  int own_must_share() const { return entry ? (*entry)->sequence.tokens_min() : kNoEntry; }

  /// Up to the root, after an entry came or went.
  static void refresh(Node* node) {
    for (; node != nullptr; node = node->parent) {
      node->must_share = node->own_must_share();
      for (const auto& [first, child] : node->children)
        node->must_share = std::min(node->must_share, child->must_share);
    }
  }

  /// The entry of this subtree that must_share speaks of.
  Entries::iterator undemanding() {
    Node* node = this;
    while (node->own_must_share() != node->must_share) {
      const auto next = std::ranges::find_if(
          node->children, [&](const auto& each) { return each.second->must_share == node->must_share; });
      node = next->second.get();
    }
    return *node->entry;
  }

  std::size_t common(std::span<const std::int32_t> tokens) const {
    const auto end = std::mismatch(edge.begin(), edge.end(), tokens.begin(), tokens.end()).first;
    return static_cast<std::size_t>(end - edge.begin());
  }

  /// Cuts this node's edge after `length` tokens; returns the new node between it and its parent.
  Node* split(std::size_t length) {
    auto& place = parent->children.at(edge.front());
    auto between = std::make_unique<Node>();
    const auto cut = edge.begin() + static_cast<std::ptrdiff_t>(length);
    between->parent = parent;
    between->key = key;
    between->edge.assign(edge.begin(), cut);
    between->must_share = must_share;
    edge.erase(edge.begin(), cut);
    edge.shrink_to_fit();
    parent = between.get();
    between->children.emplace(edge.front(), std::exchange(place, nullptr));
    place = std::move(between);
    return place.get();
  }

  /// Takes the place of its only child.
  void join_child() {
    auto child = std::move(children.begin()->second);
    edge.insert(edge.end(), child->edge.begin(), child->edge.end());
    entry = child->entry;
    if (entry) (*entry)->node = this;
    children = std::move(child->children);
    for (auto& [first, each] : children) each->parent = this;
  }
};

PrefixIndex::PrefixIndex(const PagePool& pool, std::int64_t bytes_max)
    : pool_(&pool), bytes_max_(bytes_max) {}

PrefixIndex::~PrefixIndex() = default;

/// The deepest place on the path of `tokens` under which an entry can serve. What lies past `tokens_max` is
/// not shared.
PrefixIndex::Match PrefixIndex::match(const PrefixKey& key, std::span<const std::int32_t> tokens,
                                      int tokens_max) {
  const auto root = roots_.find(key);
  if (root == roots_.end()) return {};
  tokens = tokens.first(std::min(tokens.size(), static_cast<std::size_t>(std::max(0, tokens_max))));
  Match best;
  std::size_t at = 0;
  for (Node* node = root->second.get();;) {
    const auto next = at < tokens.size() ? node->children.find(tokens[at]) : node->children.end();
    if (next == node->children.end()) break;
    node = next->second.get();
    const std::size_t length = node->common(tokens.subspan(at));
    at += length;
    if (node->must_share <= static_cast<int>(at)) best = {node, static_cast<int>(at)};
    if (length < node->edge.size()) break;
  }
  return best;
}

std::optional<SequenceKv> PrefixIndex::find(const PrefixKey& key, std::span<const std::int32_t> tokens,
                                            int tokens_max, Guessed* guessed) {
  const Match found = match(key, tokens, tokens_max);
  if (found.subtree == nullptr || found.tokens < kTokensMin) return std::nullopt;
  const auto entry = found.subtree->undemanding();
  recent_.splice(recent_.begin(), recent_, entry);
  if (guessed != nullptr) *guessed = entry->guessed;
  SequenceKv fork = entry->sequence.fork();
  fork.truncate(std::min(found.tokens, fork.tokens()));
  return fork;
}

PrefixIndex::Node* PrefixIndex::node_at(const PrefixKey& key, std::span<const std::int32_t> tokens) {
  const auto [tree, fresh] = roots_.try_emplace(key);
  if (fresh) {
    tree->second = std::make_unique<Node>();
    tree->second->key = &tree->first;
  }
  Node* node = tree->second.get();
  while (!tokens.empty()) {
    const auto next = node->children.find(tokens.front());
    if (next == node->children.end()) {
      auto leaf = std::make_unique<Node>();
      leaf->parent = node;
      leaf->key = node->key;
      leaf->edge.assign(tokens.begin(), tokens.end());
      return node->children.emplace(tokens.front(), std::move(leaf)).first->second.get();
    }
    node = next->second.get();
    const std::size_t length = node->common(tokens);
    tokens = tokens.subspan(length);
    if (length < node->edge.size()) node = node->split(length);
  }
  return node;
}

void PrefixIndex::insert(const PrefixKey& key, std::span<const std::int32_t> tokens,
                         const SequenceKv& sequence, Guessed guessed) {
  const auto count = static_cast<std::size_t>(sequence.tokens());
  if (sequence.tokens() < kTokensMin || count > tokens.size() || bytes_max_ <= 0) return;
  const auto read = tokens.first(count);
  const Match known = match(key, read, sequence.tokens());
  if (known.tokens == sequence.tokens() && known.subtree->must_share <= sequence.tokens_min()) {
    // Known already, and perhaps more.
    const auto entry = known.subtree->undemanding();
    if (entry->guessed == nullptr) entry->guessed = std::move(guessed);
    recent_.splice(recent_.begin(), recent_, entry);
    return;
  }
  Node* node = node_at(key, read);
  if (node->entry) recent_.erase(*node->entry);
  recent_.push_front({sequence.fork(Holder::kPrefix), node, std::move(guessed)});
  node->entry = recent_.begin();
  Node::refresh(node);
  for (Node* above = node->parent; above != nullptr;) {
    Node* const here = std::exchange(above, above->parent);
    if (here->entry && here->own_must_share() >= sequence.tokens_min()) erase(*here->entry);
  }
  while (!recent_.empty() && static_cast<std::int64_t>(pool_->stats().bytes_prefixes) > bytes_max_)
    erase(std::prev(recent_.end()));
}

/// Also the nodes that were there for it alone.
void PrefixIndex::erase(Entries::iterator entry) {
  Node* node = entry->node;
  recent_.erase(entry);
  node->entry.reset();
  while (node->parent != nullptr && !node->entry && node->children.empty()) {
    Node* const parent = node->parent;
    parent->children.erase(parent->children.find(node->edge.front()));
    node = parent;
  }
  if (node->parent == nullptr && node->children.empty()) {
    const PrefixKey key = *node->key;
    roots_.erase(key);
    return;
  }
  if (node->parent != nullptr && !node->entry && node->children.size() == 1) node->join_child();
  Node::refresh(node);
}

void PrefixIndex::drop(const std::function<bool(const PrefixKey&)>& which) {
  for (auto entry = recent_.begin(); entry != recent_.end();) {
    const auto each = entry++;
    if (which(*each->node->key)) erase(each);
  }
}

bool PrefixIndex::drop_one() {
  if (recent_.empty()) return false;
  erase(std::prev(recent_.end()));
  return true;
}

}  // namespace pmt::kv_cache
