// What a JSON schema may ask for before it is turned into a grammar: the turning (llama.cpp's) is quadratic
// and worse in several of these, and recursive in others. At each limit alone it takes under 50 ms here (note
// 0019). Thread-safety: pure. Cost: linear in the schema, some milliseconds at the largest.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"

namespace pmt::model {

struct SchemaLimits {
  std::size_t bytes_max = 1 << 20;        // of the schema's text
  std::size_t depth_max = 64;             // JSON values in each other; a level of a schema takes two or three
  std::size_t values_max = 30'000;        // JSON values in all
  std::size_t properties_max = 2'000;     // of all objects together
  std::size_t optional_max = 64;          // of one object, its additionalProperties counted as one
  std::size_t optional_objects_max = 16;  // objects with more than a quarter as many
  std::size_t enum_values_max = 2'000;    // of all enums together
  std::size_t alternatives_max = 1'000;   // members of anyOf, oneOf, allOf, and lists of types
  std::size_t references_max = 1'000;     // $ref
  std::size_t reference_depth_max = 1'000;    // the depths of all that is referred to, summed
  std::size_t reference_values_max = 60'000;  // their sizes, summed
  std::size_t text_bytes_max = 120'000;       // of names, enum values and constants
  std::size_t name_bytes_max = 1'000;         // of the names on the way to one value
  std::size_t names_bytes_max = 200'000;      // of all these ways, summed
  std::size_t patterns_max = 64;
  std::size_t pattern_bytes_max = 2'000;  // of one
};

/// Of a schema as text. Errors: kInvalidArgument, "is too complex: ..." with the count and its limit; also
/// where it is no JSON.
base::Status check_schema(const std::string& schema, const SchemaLimits& limits = {});

}  // namespace pmt::model
