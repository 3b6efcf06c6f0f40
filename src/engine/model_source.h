// Where a model may be pulled from, as people write it, and what the field puts into file names. Thread-safety: pure
// functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pmt::engine {

/// A model on the hub: hf:USER/REPO[@REVISION][:WANTED].
struct HubSource {
  std::string repo = {};          // "user/repo"
  std::string revision = "main";  // a branch, a tag or a commit
  std::string wanted = {};  // a quantization ("Q4_K_M") or a file's path in the repository; "": the usual one

  std::string text() const;
};

/// Whether `spec` names a source (hf:... or a URL), not a catalogue name or a file.
bool is_source(std::string_view spec);
bool is_hub_source(std::string_view spec);

/// Errors: kInvalidArgument, with the form that it must have.
base::Result<HubSource> parse_hub_source(const std::string& spec);

/// Whether a file's name says that it is of this quantization: the letters of it, of either case, between other
/// signs than letters, digits and underscores.
bool has_quantization(std::string_view file, std::string_view quantization);

/// A model in several files: "stem-00002-of-00003.gguf".
struct PartName {
  std::string stem = {};  // "stem", with its folder
  int number = 0;         // from 1
  int count = 0;
};
std::optional<PartName> part_name(std::string_view file);
std::string part_file(const std::string& stem, int number, int count);

/// What a model of this file is served as, unless it gets another name: the file's name in lower case, without its
/// folder, its number among the parts, and .gguf.
std::string name_of_file(std::string_view file);

/// Whether `name` can be a model's and a folder's: letters, digits and "._-", not a dot first, at most 128 bytes.
bool is_model_name(std::string_view name);

}  // namespace pmt::engine
