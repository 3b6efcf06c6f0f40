// The models that were pulled from a hub or a URL (note 0038): each in a folder models_dir()/NAME with its file and a
// record of where it came from. A folder whose name begins with a dot is a pull that isn't finished.
// Thread-safety: any thread; other processes may pull and remove meanwhile. Errors: kNotFound, kIo, kCorrupt (a record
// that isn't one).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"

namespace pmt::engine {

/// A file as the server has it.
struct PulledFile {
  std::string file = {};  // without folders
  std::int64_t bytes = 0;
  std::string sha256 = {};  // hex; "" as long as nobody has said or measured it
  std::string etag = {};    // the server's strong validator, where it gives no sha256

  friend bool operator==(const PulledFile&, const PulledFile&) = default;
};

struct PulledModel {
  std::string name = {};      // as served
  std::string source = {};    // as `models pull` takes it: hf:user/repo:Q4_K_M, or a URL
  std::string server = {};    // that it came from: the hub or its mirror
  std::string revision = {};  // the hub's commit
  std::string file = {};      // what is loaded: joined, where there were several
  std::int64_t bytes = 0;
  std::string sha256 = {};
  std::vector<PulledFile> fetched = {};

  std::filesystem::path path() const;  // of `file`
};

/// models_dir()/NAME, and where it is pulled.
std::filesystem::path pulled_folder(const std::string& name);
std::filesystem::path pull_folder(const std::string& name);

base::Result<PulledModel> read_record(const std::filesystem::path& folder);
base::Status write_record(const std::filesystem::path& folder, const PulledModel& model);

/// By name. Those whose file isn't there with its size are left out.
std::vector<PulledModel> pulled_models();
/// Pulls that were broken off; their bytes are what the server has.
std::vector<PulledModel> unfinished_pulls();

/// The pulled model of that name or source. hf:user/repo without a quantization means the only one that is
/// there. Errors: kNotFound, with the command that pulls it; kInvalidArgument, several fit.
base::Result<PulledModel> find_pulled(const std::string& name_or_source);

}  // namespace pmt::engine
