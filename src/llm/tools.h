// What a request says of tools and of the answer's form, as typed values: api/ reads the caller's JSON once
// and refuses what has a wrong type, so nobody after it looks into foreign JSON. Beside the parts that we act
// on stands `sent`: the caller's JSON text without its white space, members in the caller's order, for those
// who pass it on (upstream/) or hash it (response_cache/). Order has a meaning here: a schema's members are
// written in it.
#pragma once

#include <string>
#include <vector>

namespace pmt::llm {

/// A function that the model may call.
struct Function {
  std::string name;
  std::string description;
  std::string parameters;  // JSON text: a schema, an object; "": none was given
  bool strict = false;     // what can't be followed of the schema is an error
};

struct Tool {
  std::string type;   // "function", or what only an upstream may know
  Function function;  // where it is one
  std::string sent;
  bool is_function() const { return type == "function"; }
};

struct ToolChoice {
  enum class Kind { kUnset, kNone, kAuto, kRequired, kFunction, kOther };
  Kind kind = Kind::kUnset;
  std::string function;                   // kFunction: its name
  std::string sent;                       // "" when unset
  std::vector<std::string> allowed = {};  // not empty: kAuto or kRequired among these functions only
};

/// The form of an answer: response_format, or what other servers call grammar, json_schema and guided_*.
struct ResponseFormat {
  enum class Kind { kUnset, kText, kJsonObject, kJsonSchema, kGrammar, kRegex, kChoice, kOther };
  Kind kind = Kind::kUnset;
  std::string schema;                     // JSON text: an object; "": none was given
  std::string sent;                       // "" when unset
  bool strict = false;                    // what can't be followed of the schema is an error
  std::string text = {};                  // kGrammar: GBNF; kRegex: the pattern of the whole answer
  std::vector<std::string> choices = {};  // kChoice: the answer is one of them
  std::string field = {};                 // the member that asks for it; "": response_format itself
  bool schema_is_text = false;            // written within a string: no place in it is one of the request
  /// Any text will do.
  bool is_free() const { return kind == Kind::kUnset || kind == Kind::kText; }
};

/// A call that an assistant's earlier turn made.
struct ToolCall {
  std::string name;       // "": it is no function's
  std::string arguments;  // what the model wrote: JSON text, or what was meant to be some
  std::string sent;
};

}  // namespace pmt::llm
