#include "model/schema/schema_compiler.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "model/schema/char_set.h"
#include "model/schema/number_grammar.h"

namespace pmt::model {
namespace {

constexpr int kDepthMax = 200;             // of schemas in each other, references followed
constexpr std::size_t kStepsMax = 60'000;  // schemas visited
constexpr std::size_t kBytesMax = 4 << 20;

bool has_any_of(const Schema& schema, std::initializer_list<const char*> keywords) {
  return std::any_of(keywords.begin(), keywords.end(), [&](const char* one) { return schema.contains(one); });
}

/// Those of these types that keywords speak of, where no type is given; none: no keyword does.
std::vector<std::string> spoken_of(const Schema& s) {
  std::vector<std::string> out;
  if (has_any_of(s, {"properties", "required", "additionalProperties", "patternProperties", "minProperties",
                     "maxProperties", "propertyNames", "dependentRequired", kAbsent}))
    out.emplace_back("object");
  if (has_any_of(s, {"items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"}))
    out.emplace_back("array");
  if (has_any_of(s, {"pattern", "minLength", "maxLength", "format"})) out.emplace_back("string");
  if (has_any_of(s, {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}))
    out.emplace_back("number");
  return out;
}

std::string unescaped(std::string part) {
  const auto replace = [&part](std::string_view from, std::string_view to) {
    for (std::size_t at = 0; (at = part.find(from, at)) != std::string::npos; at += to.size())
      part.replace(at, from.size(), to);
  };
  replace("~1", "/");
  replace("~0", "~");
  replace("%25", "%");
  replace("%22", "\"");
  replace("%20", " ");
  return part;
}

/// The schema below that has this name as its $anchor or $id. Cost: a walk over all of it.
const Schema* named(const Schema& schema, const std::string& name) {
  if (!schema.is_structured()) return nullptr;
  if (schema.is_object()) {
    for (const char* const keyword : {"$anchor", "$dynamicAnchor"}) {
      const auto found = schema.find(keyword);
      if (found != schema.end() && *found == Schema(name)) return &schema;
    }
    const auto id = schema.find("$id");
    if (id != schema.end() && *id == Schema(name)) return &schema;
  }
  for (const Schema& part : schema) {
    if (const Schema* const found = named(part, name)) return found;
  }
  return nullptr;
}

/// What it costs to merge it: its values, and its properties, which are looked up one by one.
std::size_t weight(const Schema& schema) {
  std::size_t out = 1;
  if (schema.is_structured()) {
    for (const Schema& part : schema) out += weight(part);
  }
  return out + (schema.is_object() ? schema.size() * schema.size() / 100 : 0);
}

bool has_constants(const Schema& schema) {
  return schema.contains("const") || (schema.contains("enum") && schema.at("enum").is_array());
}

}  // namespace

std::string gbnf_json_text(const Schema& value) {
  return gbnf_literal(value.dump(-1, ' ', false, Schema::error_handler_t::replace));
}

std::string gbnf_counted(const std::string& symbol, std::size_t min, std::size_t max) {
  if (max == 0) return "\"\"";
  if (max >= 0xFFFFFFFF) return fmt::format("{}{{{},}}", symbol, min);
  return fmt::format("{}{{{},{}}}", symbol, min, max);
}

base::Error SchemaCompiler::wrong(const Place& at, const std::string& keyword, std::string what) const {
  return base::invalid(std::move(what), at.below(keyword).path);
}

void SchemaCompiler::note(const Place& at, const std::string& keyword, std::string why) {
  const std::string path = at.below(keyword).path;
  const bool known = std::any_of(unfollowed_.begin(), unfollowed_.end(),
                                 [&](const Unfollowed& one) { return one.path == path; });
  if (!known) unfollowed_.push_back({path, std::move(why)});
}

base::Status SchemaCompiler::charge(std::size_t work, const Place& at) {
  steps_ += work;
  if (at.depth > kDepthMax)
    return base::invalid("is too complex: schemas refer to one another too deep", at.path);
  if (steps_ <= kStepsMax && rules_.bytes() <= kBytesMax) return {};
  return base::invalid("is too complex: put together, its schemas have too many parts", at.path);
}

base::Result<std::string> SchemaCompiler::run() {
  TRY_ASSIGN(std::string all, value(root_, {}));
  while (!waiting_.empty()) {
    const Waiting next = waiting_.back();
    waiting_.pop_back();
    TRY_ASSIGN(const std::string body, value(*next.target, {next.path, 0}));
    rules_.define(next.name, body);
  }
  if (all == kGbnfNever) return base::invalid("allows no value at all");
  return all;
}

std::string SchemaCompiler::json_character() {
  return primitive("character");
}

/// Rules that any schema may use, made when they are needed.
std::string SchemaCompiler::primitive(const std::string& type) {
  if (const auto found = primitives_.find(type); found != primitives_.end()) return found->second;
  const auto keep = [&](const std::string& body) { return primitives_[type] = rules_.rule(body); };
  if (type == "null") return keep("\"null\"");
  if (type == "boolean") return keep("\"true\" | \"false\"");
  if (type == "integer" || type == "number")
    return keep(*gbnf_of_number({.whole = type == "integer"}, rules_));
  if (type == "character") {
    return keep(
        "[^\\x00-\\x1F\\x7F\"\\\\] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" ([0-9a-cA-CefEF] [0-9a-fA-F]{3} | "
        "[dD] [0-7] [0-9a-fA-F]{2}))");
  }
  if (type == "string") return keep("\"\\\"\" " + json_character() + "* \"\\\"\"");
  // Objects and arrays hold any value, which may be one of them.
  const std::string name = primitives_[type] = rules_.reserve();
  const std::string space = kGbnfSpace;
  if (type == "array") {
    const std::string item = any_value();
    rules_.define(name, fmt::format("\"[\" {0} ({1} (\",\" {0} {1})*)? {0} \"]\"", space, item));
  } else {
    const std::string pair = fmt::format("{0} \":\" {1} {2}", primitive("string"), space, any_value());
    rules_.define(name, fmt::format("\"{{\" {0} ({1} (\",\" {0} {1})*)? {0} \"}}\"", space, pair));
  }
  return name;
}

std::string SchemaCompiler::any_value() {
  if (const auto found = primitives_.find("any"); found != primitives_.end()) return found->second;
  const std::string name = primitives_["any"] = rules_.reserve();
  std::vector<std::string> all;
  for (const char* const type : {"object", "array", "string", "number", "boolean", "null"})
    all.push_back(primitive(type));
  rules_.define(name, gbnf_alternatives(all));
  return name;
}

/// One symbol, so that it can stand in a sequence.
base::Result<std::string> SchemaCompiler::value_rule(const Schema& schema, const Place& at) {
  TRY_ASSIGN(const std::string body, value(schema, at));
  return body == kGbnfNever ? body : rules_.rule(body);
}

base::Result<std::string> SchemaCompiler::value(const Schema& schema, const Place& at) {
  if (schema.is_boolean()) return schema.get<bool>() ? any_value() : std::string(kGbnfNever);
  if (!schema.is_object()) return base::invalid("must be a schema: an object, true or false", at.path);
  TRY(charge(1, at));
  const auto direct = schema.find("$ref");
  if (direct != schema.end() && direct->is_string()) {
    Schema rest = schema;
    rest.erase("$ref");
    if (!has_assertions(rest)) return reference(direct->get<std::string>(), at);
  }
  TRY_ASSIGN(Schema flat, flattened(schema, at));
  if (flat.is_boolean()) return value(flat, at);
  for (const char* const keyword : {"oneOf", "anyOf"}) {
    if (flat.contains(keyword)) return alternatives(flat, keyword, at);
  }
  TRY_ASSIGN(flat, without_not(std::move(flat), at));
  if (flat.is_boolean()) return value(flat, at);
  if (flat.contains("anyOf")) return alternatives(flat, "anyOf", at);
  if (has_constants(flat)) {
    return constants(flat, flat.contains("const") ? Schema::array({flat.at("const")}) : flat.at("enum"), at);
  }
  return of_types(flat, at);
}

base::Result<const Schema*> SchemaCompiler::target_of(const std::string& reference, const Place& at) const {
  const auto nothing = [&](const std::string& why) {
    return wrong(at, "$ref", fmt::format("refers to {}, {}", reference.substr(0, 200), why));
  };
  std::string pointer = reference;
  const auto id = root_.is_object() ? root_.find("$id") : root_.end();
  if (id != root_.end() && id->is_string() && !id->get_ref<const std::string&>().empty() &&
      pointer.starts_with(id->get_ref<const std::string&>()))
    pointer.erase(0, id->get_ref<const std::string&>().size());
  if (pointer.empty() || pointer == "#") return &root_;
  if (!pointer.starts_with("#/")) {
    const Schema* const found = named(root_, pointer.starts_with('#') ? pointer.substr(1) : pointer);
    return found != nullptr ? base::Result<const Schema*>(found)
                            : nothing("which is not in this schema: give it under $defs");
  }
  const Schema* found = &root_;
  for (std::size_t begin = 2; begin <= pointer.size();) {
    const std::size_t end = std::min(pointer.find('/', begin), pointer.size());
    const std::string name = unescaped(pointer.substr(begin, end - begin));
    begin = end + 1;
    const bool is_index =
        !name.empty() && name.size() < 7 && name.find_first_not_of("0123456789") == std::string::npos;
    if (found->is_object() && found->contains(name)) {
      found = &found->at(name);
    } else if (found->is_array() && is_index && std::stoul(name) < found->size()) {
      found = &found->at(std::stoul(name));
    } else {
      return nothing(fmt::format("but there is no {}", name.substr(0, 100)));
    }
  }
  return found;
}

/// A target's rule is its own, so that it may refer to itself; run() writes it.
base::Result<std::string> SchemaCompiler::reference(const std::string& pointer, const Place& at) {
  TRY_ASSIGN(const Schema* const target, target_of(pointer, at));
  if (const auto found = references_.find(pointer); found != references_.end()) return found->second;
  std::string path = pointer.starts_with("#/") ? pointer.substr(2) : pointer;
  std::replace(path.begin(), path.end(), '/', '.');
  const std::string name = references_[pointer] = rules_.reserve();
  waiting_.push_back({name, std::move(path), target});
  return name;
}

/// allOf, and $ref beside other keywords, merged in.
base::Result<Schema> SchemaCompiler::flattened(const Schema& schema, const Place& at) {
  TRY(charge(1, at));
  if (!schema.is_object()) return schema;
  Schema out = schema;
  if (const auto ref = schema.find("$ref"); ref != schema.end()) {
    if (!ref->is_string()) return wrong(at, "$ref", "must be a string");
    out.erase("$ref");
    TRY_ASSIGN(const Schema* const target, target_of(ref->get<std::string>(), at));
    TRY(charge(weight(*target) + weight(out), at));
    TRY_ASSIGN(const Schema there, flattened(*target, at.below("$ref")));
    TRY_ASSIGN(out, merge_schemas(there, out));
  }
  if (!out.is_object() || !out.contains("allOf")) return out;
  const Schema parts = out.at("allOf");
  if (!parts.is_array()) return wrong(at, "allOf", "must be an array of schemas");
  out.erase("allOf");
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Place there = at.below(fmt::format("allOf[{}]", i));
    if (!parts[i].is_object() && !parts[i].is_boolean()) return base::invalid("must be a schema", there.path);
    TRY(charge(weight(out), there));
    TRY_ASSIGN(const Schema part, flattened(parts[i], there));
    TRY_ASSIGN(out, merge_schemas(out, part));
  }
  return out;
}

/// What `not` says in a way that can be written positively; the rest is noted.
base::Result<Schema> SchemaCompiler::without_not(Schema schema, const Place& at) {
  const auto found = schema.find("not");
  if (found == schema.end()) return schema;
  Schema all = Schema::array({*found});
  schema.erase("not");
  for (std::size_t i = 0; i < all.size(); ++i) {
    TRY_ASSIGN(const Schema no, flattened(Schema(all[i]), at.below("not")));
    const bool has_more = no.is_object() && no.size() > 1;
    if (no == Schema(true) || (no.is_object() && !has_assertions(no))) return Schema(false);
    if (no == Schema(false)) continue;
    if (no.is_object() && !has_more && no.contains("anyOf") && no.at("anyOf").is_array()) {
      for (const Schema& one : no.at("anyOf")) all.push_back(one);
    } else if (!has_more && no.contains("required") && no.at("required").is_array() &&
               no.at("required").size() == 1) {
      schema[kAbsent].push_back(no.at("required").at(0));
    } else if (!has_more && no.contains("type")) {
      const auto forbidden = types_of(no);
      Schema left = Schema::array();
      for (const std::string& type : types_of(schema)) {
        const bool barred = std::any_of(forbidden.begin(), forbidden.end(),
                                        [&](const std::string& one) { return is_of_type(type, one); });
        if (type == "number" && !barred &&
            std::find(forbidden.begin(), forbidden.end(), "integer") != forbidden.end())
          note(at, "not");
        if (!barred) left.push_back(type);
      }
      schema["type"] = left;
    } else if (has_constants(no) && !has_more && has_constants(schema)) {
      const Schema barred = no.contains("const") ? Schema::array({no.at("const")}) : no.at("enum");
      Schema left = Schema::array();
      for (const Schema& one :
           schema.contains("const") ? Schema::array({schema.at("const")}) : schema.at("enum")) {
        if (std::find(barred.begin(), barred.end(), one) == barred.end()) left.push_back(one);
      }
      schema.erase("const");
      schema["enum"] = left;
    } else if (has_constants(no) && !has_more && types_of(schema) == std::vector<std::string>{"string"} &&
               !has_any_of(schema, {"pattern", "format", "minLength", "maxLength"})) {
      for (const Schema& one : no.contains("const") ? Schema::array({no.at("const")}) : no.at("enum")) {
        if (one.is_string()) schema["\1but"].push_back(one);
      }
    } else {
      note(at, "not");
    }
  }
  return schema;
}

base::Result<std::string> SchemaCompiler::alternatives(const Schema& schema, const char* keyword,
                                                       const Place& at) {
  const Schema& all = schema.at(keyword);
  if (!all.is_array() || all.empty()) return wrong(at, keyword, "must be an array of schemas, and not empty");
  Schema rest = schema;
  rest.erase(keyword);
  const bool alone = !has_assertions(rest);
  const bool one_of = std::string_view(keyword) == "oneOf";
  const std::size_t each = alone ? 1 : weight(rest);
  std::vector<Schema> parts;
  std::vector<std::string> ways;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Place there = at.below(fmt::format("{}[{}]", keyword, i));
    TRY(charge(each, there));
    if (alone) {
      TRY_ASSIGN(std::string way, value_rule(all[i], there));
      ways.push_back(std::move(way));
      if (!one_of) continue;
    }
    TRY_ASSIGN(Schema part, flattened(all[i], there));
    if (!alone) {
      TRY_ASSIGN(part, merge_schemas(rest, part));
      TRY_ASSIGN(std::string way, value_rule(part, there));
      ways.push_back(std::move(way));
    }
    parts.push_back(std::move(part));
  }
  if (one_of) {
    TRY_ASSIGN(const bool apart, all_apart(parts, at));
    if (!apart) note(at, keyword, "a value may fit several of its schemas: anyOf can be followed");
  }
  return gbnf_alternatives(ways);
}

/// Whether no value fits two of them. Each is compared with each, where they aren't all constants.
base::Result<bool> SchemaCompiler::all_apart(const std::vector<Schema>& parts, const Place& at) {
  if (const auto apart = constants_apart(parts)) return *apart;
  constexpr std::size_t kParts = 32;  // looked at in the time that one schema takes to write
  std::vector<std::size_t> weights;
  std::size_t after = 0;  // of those that come after the one
  for (const Schema& part : parts) after += weights.emplace_back(weight(part));
  for (std::size_t i = 0; i < parts.size(); ++i) {
    after -= weights[i];
    TRY(charge((weights[i] * (parts.size() - i - 1) + after) / kParts, at));
    for (std::size_t j = i + 1; j < parts.size(); ++j) {
      if (!are_disjoint(parts[i], parts[j])) return false;
    }
  }
  return true;
}

/// Those of `values` that the rest of the schema allows, too.
base::Result<std::string> SchemaCompiler::constants(const Schema& schema, const Schema& values,
                                                    const Place& at) {
  TRY(note_unknown(schema, at));
  std::vector<std::string> types =
      schema.contains("type") ? types_of(Schema{{"type", schema.at("type")}}) : std::vector<std::string>{};
  if (schema.contains("nullable") && schema.at("nullable") == Schema(true)) types.emplace_back("null");
  std::vector<std::string> ways;
  for (const Schema& value : values) {
    const std::string type = type_of_value(value);
    const bool has_type =
        types.empty() || std::any_of(types.begin(), types.end(),
                                     [&](const std::string& one) { return is_of_type(type, one); });
    if (has_type && fits(schema, value, at)) ways.push_back(gbnf_json_text(value));
  }
  return gbnf_alternatives(ways);
}

/// A constant within bounds that stand beside it. What isn't looked at is noted.
bool SchemaCompiler::fits(const Schema& schema, const Schema& value, const Place& at) {
  const auto number_of = [&](const char* keyword, double otherwise) {
    const auto found = schema.find(keyword);
    return found != schema.end() && found->is_number() ? found->get<double>() : otherwise;
  };
  if (value.is_number()) {
    const double number = value.get<double>();
    if (schema.contains("multipleOf")) note(at, "multipleOf", "beside constants");
    return number >= number_of("minimum", -INFINITY) && number <= number_of("maximum", INFINITY) &&
           number > number_of("exclusiveMinimum", -INFINITY) &&
           number < number_of("exclusiveMaximum", INFINITY);
  }
  if (value.is_string()) {
    const std::string text = value.get<std::string>();
    const auto length = static_cast<double>(characters_of(text).size());
    for (const char* const keyword : {"pattern", "format"}) {
      if (schema.contains(keyword) && !fits_pattern(schema, keyword, text))
        note(at, keyword, "beside constants");
    }
    return length >= number_of("minLength", 0) && length <= number_of("maxLength", INFINITY);
  }
  if (value.is_structured() && !spoken_of(schema).empty())
    note(at, schema.contains("const") ? "const" : "enum", "its values beside other keywords");
  return true;
}

base::Result<std::string> SchemaCompiler::of_types(const Schema& schema, const Place& at) {
  TRY(note_unknown(schema, at));
  if (schema.contains("type") && !schema.at("type").is_string() && !schema.at("type").is_array())
    return wrong(at, "type", "must be a string or an array of strings");
  std::vector<std::string> types = types_of(schema);
  if (!schema.contains("type")) {
    const auto spoken = spoken_of(schema);
    if (spoken.empty()) return any_value();
    types = spoken;
  }
  std::vector<std::string> ways;
  for (const std::string& type : types) {
    if (type == "integer" && std::find(types.begin(), types.end(), "number") != types.end()) continue;
    TRY_ASSIGN(std::string way, of_type(type, schema, at));
    if (types.size() > 1 && way != kGbnfNever) way = rules_.rule(way);
    ways.push_back(std::move(way));
  }
  return gbnf_alternatives(ways);
}

base::Result<std::string> SchemaCompiler::of_type(const std::string& type, const Schema& schema,
                                                  const Place& at) {
  if (type == "object") return object(schema, at);
  if (type == "array") return array(schema, at);
  if (type == "string") return string(schema, at);
  if (type == "integer" || type == "number") return number(schema, type == "integer", at);
  if (type == "boolean" || type == "null") return primitive(type);
  return wrong(at, "type", fmt::format("is no type of JSON: {}", type.substr(0, 100)));
}

/// Keywords that nobody here follows.
base::Status SchemaCompiler::note_unknown(const Schema& schema, const Place& at) {
  static constexpr const char* kAll[] = {
      "if",           "dependentSchemas",      "dependencies",     "minContains",
      "maxContains",  "unevaluatedProperties", "unevaluatedItems", "$dynamicRef",
      "$recursiveRef"};
  for (const char* const keyword : kAll) {
    const bool harmless = schema.contains(keyword) && std::string_view(keyword).starts_with("unevaluated") &&
                          schema.at(keyword) == Schema(false);  // nothing else is written
    if (schema.contains(keyword) && !harmless) note(at, keyword);
  }
  if (const auto left = schema.find(kUnmerged); left != schema.end()) {
    for (const Schema& keyword : *left) note(at, keyword.get<std::string>(), "several at once");
  }
  return {};
}

base::Result<std::string> SchemaCompiler::number(const Schema& schema, bool whole, const Place& at) {
  NumberBounds bounds{.whole = whole};
  const auto read = [&](const char* keyword, bool excluded, bool least) -> base::Status {
    const auto found = schema.find(keyword);
    if (found == schema.end() || found->is_boolean()) return {};  // draft 4's exclusiveMinimum: true
    if (!found->is_number()) return wrong(at, keyword, "must be a number");
    const auto value = Decimal::parse(found->dump());
    if (!value) {
      const bool binds = least == (found->get<double>() > 0);
      if (binds || std::abs(found->get<double>()) < 1)
        note(at, keyword, "it has more digits than numbers are written with");
      return {};
    }
    auto& bound = least ? bounds.min : bounds.max;
    const bool tighter = !bound || (least ? less(bound->value, *value) : less(*value, bound->value)) ||
                         (excluded && !less(bound->value, *value) && !less(*value, bound->value));
    if (tighter) bound = NumberBounds::Bound{*value, excluded};
    return {};
  };
  const auto is_true = [&](const char* keyword) {
    return schema.contains(keyword) && schema.at(keyword) == Schema(true);
  };
  TRY(read("minimum", is_true("exclusiveMinimum"), true));
  TRY(read("exclusiveMinimum", true, true));
  TRY(read("maximum", is_true("exclusiveMaximum"), false));
  TRY(read("exclusiveMaximum", true, false));
  if (const auto found = schema.find("multipleOf"); found != schema.end()) {
    if (!found->is_number() || found->get<double>() <= 0)
      return wrong(at, "multipleOf", "must be a number above 0");
    bounds.multiple_of = Decimal::parse(found->dump());
    if (!bounds.multiple_of) note(at, "multipleOf", "it has too many digits");
  }
  if (const auto format = schema.find("format"); format != schema.end() && whole) {
    const bool is_int32 = *format == Schema("int32");
    if (is_int32 && !bounds.min) bounds.min = {{.negative = true, .whole = 2'147'483'648}, false};
    if (is_int32 && !bounds.max) bounds.max = {{.whole = 2'147'483'647}, false};
  }
  if (!bounds.min && !bounds.max && !bounds.multiple_of) return primitive(whole ? "integer" : "number");
  auto body = gbnf_of_number(bounds, rules_);
  if (body) return body;
  note(at, "multipleOf", body.error().message);
  bounds.multiple_of.reset();
  return gbnf_of_number(bounds, rules_);
}

base::Result<std::size_t> SchemaCompiler::count_of(const Schema& schema, const char* keyword,
                                                   std::size_t otherwise, const Place& at) const {
  const auto found = schema.find(keyword);
  if (found == schema.end()) return otherwise;
  const bool is_count = found->is_number() && found->get<double>() >= 0 && type_of_value(*found) == "integer";
  if (!is_count) return wrong(at, keyword, "must be a whole number, not negative");
  return static_cast<std::size_t>(std::min(found->get<double>(), static_cast<double>(kNoMax - 1)));
}

base::Result<SchemaCompiler::Counts> SchemaCompiler::counts_of(const Schema& schema, const char* least,
                                                               const char* most, const Place& at) const {
  Counts out;
  TRY_ASSIGN(out.min, count_of(schema, least, 0, at));
  TRY_ASSIGN(out.max, count_of(schema, most, kNoMax, at));
  return out;
}

}  // namespace pmt::model
