// Fetches a model from the hub or a URL (note 0038): asks what there is, has room for it, downloads, compares sums, joins
// parts, and renames the finished folder into place. Whatever happens, an installed model stays as it was or is the new
// one; what was fetched of one that failed waits for the next try.
// Thread-safety: one call at a time in a process; a second process waits.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace pmt::app {

struct RemotePull {
  std::string source = {};  // hf:... or a URL
  std::string name = {};    // to be served as; "": after the file
  std::string sha256 = {};  // of a URL's file; "": whatever it has
  double timeout_s = 30;    // of silence
};

/// Prints its steps on stderr. Returns the file to be loaded. Errors, each with what to do: those of plan_pull and
/// download_file; a full disk (kIo, before the first byte); a name that another source has (kInvalidArgument); bytes
/// that aren't the announced ones (kCorrupt: set aside).
base::Result<std::filesystem::path> pull_remote(const RemotePull& wanted);

}  // namespace pmt::app
