// Which file stands at a path right now: another one has another identity, be it moved there or written
// over it. Thread-safety: any thread. Cost: one stat, some microseconds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace pmt::engine {

struct FileIdentity {
  std::uint64_t inode = 0;
  std::int64_t bytes = 0;
  std::int64_t modified_ns = 0;  // since the Unix epoch

  /// Errors: kNotFound, kIo (or no regular file).
  static base::Result<FileIdentity> of(const std::string& path);
  std::string text() const;

  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

/// Of a request to a model whose file may be exchanged while it is served: which file was there when the
/// request came. It is part of the response cache's key, so an answer is never given for another file's
/// (llm/engine_options.h).
struct FileVersion {
  static constexpr std::string_view kName = "file";
  std::string identity = {};  // FileIdentity::text; "": none was there

  nlohmann::json key() const { return identity; }
  friend bool operator==(const FileVersion&, const FileVersion&) = default;
};

}  // namespace pmt::engine
