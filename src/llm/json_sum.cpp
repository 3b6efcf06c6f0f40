#include "llm/json_sum.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/json_text.h"

namespace pmt::llm {
namespace {

/// A stream goes on with one of the last items of an array, if with any.
constexpr std::size_t kLookedBack = 64;

/// Said again with each piece, or once: nothing that grows.
bool is_label(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kNames = {"id",     "type",   "role",  "name",
                                                             "format", "object", "status"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

}  // namespace

JsonSum::Node JsonSum::as_text(std::string_view value) {
  Node node;
  node.text = value;
  return node;
}

void JsonSum::open(Node& node, Node::Kind kind) {
  if (node.kind != Node::Kind::kText) return;
  node.kind = kind;
  if (kind == Node::Kind::kString) {
    node.text.pop_back();
    return;
  }
  const std::string text = std::exchange(node.text, {});
  if (kind == Node::Kind::kObject) return join_members(node.members, text);
  for (const std::string_view item : base::items_of(text)) node.items.push_back(as_item(item));
}

/// Its index is read here, once: each piece that may go on with it looks at it again.
JsonSum::Node JsonSum::as_item(std::string_view value) {
  Node node = as_text(value);
  if (value.starts_with('{')) node.index = base::value_of(base::members_of(value), "index");
  return node;
}

void JsonSum::join_items(std::vector<Node>& items, std::string_view more) {
  for (const std::string_view item : base::items_of(more)) {
    Node node = as_item(item);
    std::size_t at = items.size();
    const std::size_t oldest = at - std::min(at, kLookedBack);
    while (!node.index.empty() && at > oldest && items[at - 1].index != node.index) --at;
    if (node.index.empty() || at == oldest) {
      items.push_back(std::move(node));
    } else {
      join(items[at - 1], item);
    }
  }
}

void JsonSum::join_members(std::vector<Member>& members, std::string_view more) {
  for (const base::JsonMember& member : base::members_of(more)) {
    const auto same = std::find_if(members.begin(), members.end(),
                                   [&](const Member& one) { return one.name == member.name; });
    if (same == members.end()) {
      members.push_back({member.name, std::string(member.quoted), as_text(member.value)});
    } else if (is_label(member.name)) {
      if (!base::is_null(member.value)) same->value = as_text(member.value);
    } else {
      join(same->value, member.value);
    }
  }
}

void JsonSum::join(Node& into, std::string_view more) {
  if (base::is_null(more)) return;
  const char was = into.kind == Node::Kind::kText ? into.text.front() : "x\"[{"[static_cast<int>(into.kind)];
  if (was == '"' && more.front() == '"') {
    open(into, Node::Kind::kString);
    into.text.append(more.substr(1, more.size() - 2));
  } else if (was == '[' && more.front() == '[') {
    open(into, Node::Kind::kArray);
    join_items(into.items, more);
  } else if (was == '{' && more.front() == '{') {
    open(into, Node::Kind::kObject);
    join_members(into.members, more);
  } else {
    into = as_text(more);
  }
}

bool JsonSum::joins(const Member& member, std::string_view more) const {
  if (rule_ == Rule::kJoined) return !is_label(member.name);
  return rule_ == Rule::kChoice && (member.name == "logprobs" || more.starts_with('['));
}

void JsonSum::add(std::string_view members) {
  if (members.empty()) return;
  if (members_.empty() && rule_ != Rule::kLast) return join_members(members_, members);
  for (const base::JsonMember& member : base::members_of(members)) {
    const auto same = std::find_if(members_.begin(), members_.end(),
                                   [&](const Member& one) { return one.name == member.name; });
    if (same == members_.end()) {
      join_members(members_, member.whole);
    } else if (joins(*same, member.value)) {
      join(same->value, member.value);
    } else if (rule_ != Rule::kJoined || !base::is_null(member.value)) {
      same->value = as_text(member.value);
    }
  }
}

void JsonSum::append(std::string& out, const std::vector<Member>& members) {
  bool first = true;
  for (const Member& member : members) {
    if (!std::exchange(first, false)) out += ',';
    out.append(member.quoted) += ':';
    append(out, member.value);
  }
}

void JsonSum::append(std::string& out, const Node& node) {
  switch (node.kind) {
    case Node::Kind::kText:
      out += node.text;
      return;
    case Node::Kind::kString:
      out.append(node.text) += '"';
      return;
    case Node::Kind::kArray:
      out += '[';
      for (std::size_t i = 0; i < node.items.size(); ++i) {
        if (i > 0) out += ',';
        append(out, node.items[i]);
      }
      out += ']';
      return;
    case Node::Kind::kObject:
      out += '{';
      append(out, node.members);
      out += '}';
      return;
  }
}

std::string JsonSum::text() const {
  std::string out;
  append(out, members_);
  return out;
}

}  // namespace pmt::llm
