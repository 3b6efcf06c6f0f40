#include <algorithm>

#include <fmt/format.h>

#include "model/schema/schema_compiler.h"

namespace pmt::model {
namespace {

/// Its few values, where it is an enum, a constant or a flag; empty otherwise.
std::vector<Schema> finite(const Schema& items) {
  if (!items.is_object()) return {};
  if (items.contains("const")) return {items.at("const")};
  if (items.contains("enum") && items.at("enum").is_array())
    return {items.at("enum").begin(), items.at("enum").end()};
  if (items.contains("type") && items.at("type") == Schema("boolean")) return {Schema(true), Schema(false)};
  return {};
}

}  // namespace

/// Different items: those of an enum, each at most once and in the enum's order. Any other uniqueness is noted.
base::Result<std::string> SchemaCompiler::unique_array(const Schema& items, Counts counts, const Place& at) {
  std::vector<Member> members;
  for (const Schema& value : finite(items)) {
    Schema one = items;
    one.erase("enum");
    one["const"] = value;
    TRY_ASSIGN(std::string text, this->value(one, at.below("items")));
    if (text != kGbnfNever) members.push_back({std::move(text), false});
  }
  if (counts.min > members.size()) return std::string(kGbnfNever);
  if (counts.max >= members.size()) counts.max = kNoMax;
  const std::string inside = sequence(members, "", counts);
  if (inside == kGbnfNever) return inside;
  return fmt::format("\"[\" {} {} {} \"]\"", kGbnfSpace, inside, kGbnfSpace);
}

base::Result<std::string> SchemaCompiler::array(const Schema& schema, const Place& at) {
  static const Schema kAny = true;
  const auto find = [&](const char* keyword) {
    return schema.contains(keyword) ? &schema.at(keyword) : nullptr;
  };
  TRY_ASSIGN(Counts counts, counts_of(schema, "minItems", "maxItems", at));
  const Schema* first = find("prefixItems");
  const Schema* items = find("items");
  const char* named = "prefixItems";
  if (items != nullptr && items->is_array()) {  // drafts before 2020-12
    first = items;
    named = "items";
    items = find("additionalItems");
  }
  if (first != nullptr && !first->is_array()) return wrong(at, "prefixItems", "must be an array of schemas");
  const Schema each = items != nullptr ? *items : kAny;
  Schema begin = first != nullptr ? *first : Schema::array();
  if (const Schema* const one = find("contains")) {
    TRY_ASSIGN(const Schema wanted, flattened(*one, at.below("contains")));
    TRY_ASSIGN(const Schema rest, flattened(each, at.below("items")));
    if (begin.empty() && !schema.contains("maxContains") && !schema.contains("minContains")) {
      TRY_ASSIGN(Schema both, merge_schemas(wanted, rest));
      begin.push_back(std::move(both));  // its place is open: the first one it is
      counts.min = std::max<std::size_t>(counts.min, 1);
    } else {
      note(at, "contains");
    }
  }
  if (const Schema* const unique = find("uniqueItems");
      unique != nullptr && *unique == Schema(true) && counts.max > 1) {
    TRY_ASSIGN(const Schema flat, flattened(each, at.below("items")));
    if (begin.empty() && !finite(flat).empty()) return unique_array(flat, counts, at);
    note(at, "uniqueItems", "items may be equal");
  }
  if (counts.min > counts.max) return std::string(kGbnfNever);
  // All of the first ones are written, and others only where they are described or needed.
  std::string body;
  std::size_t written = std::min(begin.size(), counts.max);
  for (std::size_t i = 0; i < written; ++i) {
    TRY_ASSIGN(const std::string rule, value_rule(begin[i], at.below(fmt::format("{}[{}]", named, i))));
    if (rule == kGbnfNever) {  // it ends before this one
      if (i < counts.min) return rule;
      counts.max = written = i;
      break;
    }
    if (i > 0) body += fmt::format(" \",\" {} ", kGbnfSpace);
    body += rule;
  }
  const std::size_t least = counts.min > written ? counts.min - written : 0;
  const bool others = counts.max > written && (items != nullptr || least > 0 || first == nullptr);
  if (others) {
    TRY_ASSIGN(const std::string rule, value_rule(each, at.below("items")));
    if (rule == kGbnfNever) {
      if (least > 0) return rule;
    } else {
      const std::size_t most = counts.max == kNoMax ? kNoMax : counts.max - written;
      const std::string more = fmt::format("(\",\" {} {})", kGbnfSpace, rule);
      if (written > 0) {
        body += " " + gbnf_counted(more, least, most);
      } else {
        const std::string some =
            rule + " " + gbnf_counted(more, least > 0 ? least - 1 : 0, most == kNoMax ? kNoMax : most - 1);
        body = least > 0 ? some : "(" + some + ")?";
      }
    }
  }
  return fmt::format("\"[\" {} {} {} \"]\"", kGbnfSpace, body, kGbnfSpace);
}

}  // namespace pmt::model
