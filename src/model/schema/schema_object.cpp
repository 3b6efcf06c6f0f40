#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "model/schema/char_set.h"
#include "model/schema/regex.h"
#include "model/schema/schema_compiler.h"

namespace pmt::model {
namespace {

constexpr std::size_t kCountedMax = 128;  // members: a rule for each and each number of them before

std::vector<std::string> names_in(const Schema& schema, const char* keyword) {
  std::vector<std::string> out;
  const auto found = schema.find(keyword);
  if (found == schema.end() || !found->is_array()) return out;
  std::set<std::string_view> known;
  for (const Schema& name : *found) {
    if (name.is_string() && known.insert(name.get_ref<const std::string&>()).second)
      out.push_back(name.get<std::string>());
  }
  return out;
}

/// Names that no other member may have: declared, required, or forbidden.
std::vector<std::string> names_taken(const Schema& schema) {
  std::vector<std::string> taken = names_in(schema, "required");
  if (const auto found = schema.find("properties"); found != schema.end()) {
    for (const auto& [name, unused] : found->items()) taken.push_back(name);
  }
  for (std::string& name : names_in(schema, kAbsent)) taken.push_back(std::move(name));
  return taken;
}

}  // namespace

/// A name of patternProperties, read once; null where it can't be followed, which is noted.
base::Result<const Regex*> SchemaCompiler::name_pattern(const std::string& pattern, const Place& at) {
  const std::string keyword = "patternProperties." + pattern;
  auto found = name_patterns_.find(pattern);
  if (found == name_patterns_.end()) {
    TRY(charge(1 + pattern.size() / 64, at));
    const auto read = parse_regex(pattern);
    found = name_patterns_.emplace(pattern, read ? found_anywhere(*read) : read).first;
  }
  const base::Result<Regex>& settled = found->second;
  if (settled) return &*settled;
  if (settled.error().code == base::Code::kInvalidArgument)
    return wrong(at, keyword, settled.error().message);
  note(at, keyword, settled.error().message);
  return nullptr;
}

base::Result<bool> SchemaCompiler::name_fits(const std::string& name, const std::string& pattern,
                                             const Place& at) {
  TRY_ASSIGN(const Regex* const regex, name_pattern(pattern, at));
  if (regex == nullptr) return false;
  constexpr std::size_t kFree = 10'000;  // bytes of one times bytes of the other: some microseconds
  TRY(charge(1 + name.size() * pattern.size() / kFree, at));
  return matches(*regex, name);
}

/// Merged with what patternProperties say of its name.
base::Result<Schema> SchemaCompiler::with_patterns(const Schema& schema, const std::string& name,
                                                   Schema value, const Place& at) {
  const auto patterns = schema.find("patternProperties");
  if (patterns == schema.end() || !patterns->is_object()) return value;
  for (const auto& [pattern, rest] : patterns->items()) {
    TRY_ASSIGN(const bool fits, name_fits(name, pattern, at));
    if (!fits) continue;
    TRY_ASSIGN(const Schema flat, flattened(rest, at.below("patternProperties." + pattern)));
    TRY_ASSIGN(const Schema own, flattened(value, at.below("properties." + name)));
    TRY_ASSIGN(value, merge_schemas(own, flat));
  }
  return value;
}

base::Result<std::string> SchemaCompiler::declared_member(const Schema& schema, const std::string& name,
                                                          const Schema& value, const Place& at) {
  const Place there = at.below("properties." + name);
  TRY_ASSIGN(const Schema whole, with_patterns(schema, name, value, at));
  TRY_ASSIGN(const std::string rule, value_rule(whole, there));
  if (rule == kGbnfNever) return rule;
  return fmt::format("{} {} \":\" {} {}", gbnf_json_text(name), kGbnfSpace, kGbnfSpace, rule);
}

/// Declared ones in the schema's order, then those that are only required.
base::Result<std::vector<SchemaCompiler::Member>> SchemaCompiler::members_of(const Schema& schema,
                                                                             const Place& at) {
  static const Schema kNone = Schema::object();
  const auto found = schema.find("properties");
  if (found != schema.end() && !found->is_object())
    return wrong(at, "properties", "must be an object of schemas");
  const Schema& properties = found == schema.end() ? kNone : *found;
  if (const auto names = schema.find("required"); names != schema.end() && !names->is_array())
    return wrong(at, "required", "must be an array of names");
  const auto required = names_in(schema, "required"), absent = names_in(schema, kAbsent);
  const std::set<std::string_view> is_required(required.begin(), required.end());
  const std::set<std::string_view> is_absent(absent.begin(), absent.end());
  std::vector<Member> out;
  const auto add = [&](const std::string& name, const Schema& value) -> base::Status {
    Member one{.text = kGbnfNever, .required = is_required.contains(name)};
    if (!is_absent.contains(name)) {
      TRY_ASSIGN(one.text, declared_member(schema, name, value, at));
    }
    out.push_back(std::move(one));
    return {};
  };
  for (const auto& [name, value] : properties.items()) TRY(add(name, value));
  const auto more = schema.find("additionalProperties");
  for (const std::string& name : required) {
    if (properties.contains(name)) continue;
    const bool by_pattern = schema.contains("patternProperties");
    TRY(add(name, more == schema.end() || by_pattern ? Schema(true) : *more));
  }
  return out;
}

/// The inside of the string that names a member which isn't declared.
base::Result<std::string> SchemaCompiler::other_name(const Schema& schema, const Place& at) {
  const std::vector<std::string> taken = names_taken(schema);
  const auto names = schema.find("propertyNames");
  const bool any_name = names == schema.end() || !has_assertions(*names) || *names == Schema(true);
  if (!any_name && taken.empty()) {
    TRY_ASSIGN(const Schema flat, flattened(*names, at.below("propertyNames")));
    TRY_ASSIGN(const Schema text, merge_schemas(flat, Schema{{"type", "string"}}));
    return value_rule(text, at.below("propertyNames"));
  }
  if (!any_name) note(at, "propertyNames", "beside declared members");
  return fmt::format("\"\\\"\" {} \"\\\"\"", taken.empty() ? json_character() + "*" : name_but(taken));
}

/// The members that may come after the declared ones, any number of times: "name": value for each kind.
base::Result<std::vector<std::string>> SchemaCompiler::additional_of(const Schema& schema, const Place& at) {
  std::vector<std::string> out;
  const std::string colon = fmt::format("{} \":\" {}", kGbnfSpace, kGbnfSpace);
  const auto patterns = schema.find("patternProperties");
  if (patterns != schema.end() && !patterns->is_object())
    return wrong(at, "patternProperties", "must be an object of schemas");
  const bool by_pattern = patterns != schema.end() && !patterns->empty();
  if (by_pattern) {
    const std::vector<std::string> taken = names_taken(schema);
    bool all_alike = true;
    for (const auto& [pattern, value] : patterns->items()) {
      all_alike = all_alike && value == patterns->begin().value();
      const Place there = at.below("patternProperties." + pattern);
      TRY_ASSIGN(const Regex* const regex, name_pattern(pattern, at));
      if (regex == nullptr) continue;
      // A member of that name is written as declared, and no other one that might be it.
      bool may_be_taken = false;
      for (std::size_t i = 0; i < taken.size() && !may_be_taken; ++i) {
        TRY_ASSIGN(may_be_taken, name_fits(taken[i], pattern, at));
      }
      if (may_be_taken) continue;
      TRY_ASSIGN(const std::string rule, value_rule(value, there));
      if (rule == kGbnfNever) continue;
      out.push_back(
          fmt::format("\"\\\"\" ({}) \"\\\"\" {} {}", gbnf_of_regex(*regex, true, rules_), colon, rule));
    }
    if (!all_alike) note(at, "patternProperties", "a name may fit several of its patterns");
    if (schema.contains("propertyNames")) note(at, "propertyNames", "beside patternProperties");
    return out;  // others might fit a pattern: none is written
  }
  const auto more = schema.find("additionalProperties");
  const bool open = more == schema.end() ? !schema.contains("properties") : *more != Schema(false);
  if (!open) return out;
  if (more != schema.end() && !more->is_object() && !more->is_boolean())
    return wrong(at, "additionalProperties", "must be a schema, true or false");
  TRY_ASSIGN(const std::string rule, more == schema.end()
                                         ? base::Result<std::string>(any_value())
                                         : value_rule(*more, at.below("additionalProperties")));
  if (rule == kGbnfNever) return out;
  TRY_ASSIGN(const std::string name, other_name(schema, at));
  if (name == kGbnfNever) return out;
  out.push_back(fmt::format("{} {} {}", name, colon, rule));
  return out;
}

base::Result<std::string> SchemaCompiler::object(const Schema& schema, const Place& at) {
  if (const auto needs = schema.find("dependentRequired"); needs != schema.end())
    note(at, "dependentRequired");
  TRY_ASSIGN(std::vector<Member> members, members_of(schema, at));
  TRY_ASSIGN(const std::vector<std::string> others, additional_of(schema, at));
  TRY_ASSIGN(Counts counts, counts_of(schema, "minProperties", "maxProperties", at));
  for (const Member& one : members) {
    if (one.required && one.text == kGbnfNever) return std::string(kGbnfNever);
  }
  std::erase_if(members, [](const Member& one) { return one.text == kGbnfNever; });
  const auto is_required = [](const Member& one) { return one.required; };
  const auto required = static_cast<std::size_t>(std::count_if(members.begin(), members.end(), is_required));
  if (counts.min <= required) counts.min = 0;
  if (others.empty() && counts.max >= members.size()) counts.max = kNoMax;
  const bool fits =
      required <= counts.max && counts.min <= counts.max && (!others.empty() || counts.min <= members.size());
  if (!fits) return std::string(kGbnfNever);
  // Names that aren't declared may be written twice, and count once then.
  if (counts.min > members.size() + 1) note(at, "minProperties", "names that aren't declared may come twice");
  if ((counts.min > 0 || counts.max != kNoMax) && members.size() > kCountedMax) {
    note(at, counts.min > 0 ? "minProperties" : "maxProperties", "beside so many members");
    counts = {};
  }
  const bool is_any = schema.empty() || (schema.size() == 1 && schema.contains("type"));
  if (is_any && !others.empty()) return primitive("object");
  std::string other = others.empty() ? "" : rules_.rule(gbnf_alternatives(others));
  const std::string inside = sequence(members, other, counts);
  if (inside == kGbnfNever) return inside;
  return fmt::format("\"{{\" {} {} {} \"}}\"", kGbnfSpace, inside, kGbnfSpace);
}

/// Members in their order with commas between, then any number of others. Made from the end: each rule is what may
/// follow once so many were written.
std::string SchemaCompiler::sequence(const std::vector<Member>& members, const std::string& others,
                                     Counts counts) {
  const bool counted = counts.min > 0 || counts.max != kNoMax;
  const std::string comma = fmt::format("\",\" {} ", kGbnfSpace);
  const auto tail = [&](std::size_t written) -> std::string {
    const std::size_t least = counts.min > written ? counts.min - written : 0;
    if (counts.max != kNoMax && written > counts.max) return kGbnfNever;
    const std::size_t more = counts.max == kNoMax ? kNoMax : counts.max - written;
    const bool twice = least > 1 && counts.min <= members.size() + 1;  // others may come twice and count once
    if (others.empty() || twice) return least == 0 ? "\"\"" : kGbnfNever;
    if (written > 0) return gbnf_counted("(" + comma + others + ")", least, more);
    if (more == 0) return least == 0 ? "\"\"" : kGbnfNever;
    const std::size_t after_one = more == kNoMax ? kNoMax : more - 1;
    const std::string some = fmt::format(
        "{} {}", others, gbnf_counted("(" + comma + others + ")", least > 0 ? least - 1 : 0, after_one));
    return least > 0 ? some : "(" + some + ")?";
  };
  // By how many were written; where they aren't counted, by whether any was.
  std::vector<std::string> after(counted ? members.size() + 2 : 2);
  for (std::size_t written = 0; written < after.size(); ++written) after[written] = tail(written);
  for (std::size_t i = members.size(); i-- > 0;) {
    std::vector<std::string> now(after.size());
    const std::string text = rules_.rule(members[i].text);
    for (std::size_t written = 0; written < after.size() - (counted ? 1 : 0); ++written) {
      const std::string& then = after[counted ? written + 1 : 1];
      std::vector<std::string> ways;
      if (then != kGbnfNever) ways.push_back((written > 0 ? comma : "") + text + " " + then);
      if (!members[i].required) ways.push_back(after[written]);
      const std::string body = gbnf_alternatives(ways);
      now[written] = body == kGbnfNever || body == "\"\"" ? body : rules_.rule(body);
    }
    if (counted) now.back() = kGbnfNever;
    after = std::move(now);
  }
  return after.front() == kGbnfNever ? after.front() : "(" + after.front() + ")";
}

}  // namespace pmt::model
