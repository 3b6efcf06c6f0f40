// The sum of JSON members that come in pieces: what a stream's chunks bring, as it would have come whole. Text in,
// text out: what came once stays as it was written.
//
//   joined   strings are appended (but a name, an id or a type is said again), arrays grow (items that have an
//            `index` by it), objects are joined member by member, of all else the last value counts
//   last     the last value counts
//   choice   arrays grow, `logprobs` is joined, of all else the last value counts
//
// Requires: what is added was checked (base/json.h), so nothing nests deeper than 64 levels.
// Thread-safety: none. Cost: linear in what is added; an item with an `index` is looked for among the last 64.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pmt::llm {

class JsonSum {
 public:
  enum class Rule { kJoined, kLast, kChoice };
  explicit JsonSum(Rule rule) : rule_(rule) {}

  /// Members, without braces; "" for none.
  void add(std::string_view members);
  bool empty() const { return members_.empty(); }
  std::string text() const;

 private:
  struct Member;
  /// A value: as text until something is joined to it.
  struct Node {
    enum class Kind { kText, kString, kArray, kObject };
    Kind kind = Kind::kText;
    std::string text;   // kString: without its last quote
    std::string index;  // an array's item: the value of its `index`; "": it has none
    std::vector<Node> items;
    std::vector<Member> members;
  };
  struct Member {
    std::string name, quoted;
    Node value;
  };
  static void join(Node& into, std::string_view more);
  static void join_items(std::vector<Node>& items, std::string_view more);
  static void join_members(std::vector<Member>& members, std::string_view more);
  static void open(Node& node, Node::Kind kind);
  static Node as_item(std::string_view value);
  static void append(std::string& out, const Node& node);
  static void append(std::string& out, const std::vector<Member>& members);
  static Node as_text(std::string_view value);
  bool joins(const Member& member, std::string_view more) const;

  Rule rule_;
  std::vector<Member> members_;
};

}  // namespace pmt::llm
