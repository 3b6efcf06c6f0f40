// A GGUF file's metadata and tensor bytes, checked: every getter says what is missing or wrong by the key's
// name, and every tensor's range is proved to lie inside the file before anyone reads it. Thread-safety:
// const members may be called from several threads, save read_tensor (one file offset). Errors: kNotFound (no
// such file), kCorrupt (not a GGUF, truncated, a key of the wrong type), kIo.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ggml.h>
#include <gguf.h>

#include "base/result.h"

namespace pmt::model {

struct TensorInfo {
  std::string name;
  ggml_type type = GGML_TYPE_F32;
  std::int64_t columns = 0;  // ne[0]: a row's length
  std::int64_t rows = 0;     // product of the others
  std::size_t offset = 0;    // in the file
  std::size_t bytes = 0;
};

class GgufFile {
 public:
  static base::Result<GgufFile> open(const std::string& path);

  base::Result<std::string> text(const std::string& key) const;
  base::Result<std::int64_t> integer(const std::string& key) const;
  base::Result<float> real(const std::string& key) const;
  /// An array of booleans.
  base::Result<std::vector<bool>> booleans(const std::string& key) const;
  std::int64_t integer_or(const std::string& key, std::int64_t fallback) const;
  float real_or(const std::string& key, float fallback) const;
  bool has(const std::string& key) const { return gguf_find_key(gguf_.get(), key.c_str()) >= 0; }

  std::optional<TensorInfo> find_tensor(const std::string& name) const;
  /// Like find_tensor; a missing tensor or another shape is kCorrupt, named.
  base::Result<TensorInfo> tensor(const std::string& name, std::int64_t columns, std::int64_t rows) const;
  base::Status read_tensor(const TensorInfo& tensor, void* to) const;

  const std::string& path() const { return path_; }
  std::int64_t bytes() const { return bytes_; }
  /// Sum over tensors of their element counts.
  std::int64_t parameters() const;

 private:
  struct FreeGguf {
    void operator()(gguf_context* context) const { gguf_free(context); }
  };
  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  GgufFile() = default;
  base::Error wrong(const std::string& what) const;

  std::string path_;
  std::int64_t bytes_ = 0;
  std::unique_ptr<gguf_context, FreeGguf> gguf_;
  std::unique_ptr<std::FILE, CloseFile> file_;
};

}  // namespace pmt::model
