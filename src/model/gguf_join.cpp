#include "model/gguf_join.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <ggml.h>
#include <gguf.h>

#include "model/gguf_preflight.h"

namespace pmt::model {

namespace {

struct Free {
  void operator()(gguf_context* context) const { gguf_free(context); }
  void operator()(ggml_context* context) const { ggml_free(context); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using Gguf = std::unique_ptr<gguf_context, Free>;
using File = std::unique_ptr<std::FILE, Free>;

struct Part {
  std::string path;
  Gguf header;
  std::unique_ptr<ggml_context, Free> tensors;
};

base::Error damaged(const std::string& path, const std::string& what) {
  return {base::Code::kCorrupt, fmt::format("{}: {}", path, what)};
}

base::Error failed(const char* doing, const std::string& path) {
  return {base::Code::kIo, fmt::format("can't {} {}: {}", doing, path, std::strerror(errno))};
}

base::Result<File> open(const std::string& path, const char* how) {
  File file(std::fopen(path.c_str(), how));
  if (file == nullptr) return failed("open", path);
  return file;
}

/// A whole number that gguf-split writes; -1 if it isn't there.
std::int64_t number(const gguf_context* header, const char* key) {
  const std::int64_t id = gguf_find_key(header, key);
  if (id < 0) return -1;
  if (gguf_get_kv_type(header, id) == GGUF_TYPE_UINT16) return gguf_get_val_u16(header, id);
  if (gguf_get_kv_type(header, id) == GGUF_TYPE_INT32) return gguf_get_val_i32(header, id);
  return -1;
}

base::Result<Part> open_part(const std::string& path, std::size_t place, std::size_t count) {
  TRY(check_gguf(path, GgufExtent::kPart));  // ggml would end the process on some headers
  ggml_context* tensors = nullptr;
  Part part{.path = path, .header = Gguf(gguf_init_from_file(path.c_str(), {true, &tensors})), .tensors = {}};
  part.tensors.reset(tensors);
  if (part.header == nullptr) return damaged(path, "not a readable GGUF");
  const std::int64_t no = number(part.header.get(), "split.no");
  const std::int64_t of = number(part.header.get(), "split.count");
  if (no != static_cast<std::int64_t>(place) || of != static_cast<std::int64_t>(count)) {
    return damaged(
        path, fmt::format("it says that it is part {} of {}, not {} of {}", no + 1, of, place + 1, count));
  }
  return part;
}

/// What the joined file says of itself and its tensors.
base::Result<Gguf> joined_header(const std::vector<Part>& parts) {
  Gguf out(gguf_init_empty());
  const gguf_context* first = parts.front().header.get();
  gguf_set_kv(out.get(), first);
  // Tensors are padded to the format's own alignment here, whatever it was in the parts.
  for (const char* key : {"split.no", "split.count", "split.tensors.count", "general.alignment"})
    gguf_remove_key(out.get(), key);
  for (const Part& part : parts) {
    for (std::int64_t i = 0; i < gguf_get_n_tensors(part.header.get()); ++i) {
      const char* name = gguf_get_tensor_name(part.header.get(), i);
      if (gguf_find_tensor(out.get(), name) >= 0)
        return damaged(part.path, fmt::format("another part has its tensor {} too", name));
      gguf_add_tensor(out.get(), ggml_get_tensor(part.tensors.get(), name));
    }
  }
  const std::int64_t expected = number(first, "split.tensors.count");
  if (expected >= 0 && expected != gguf_get_n_tensors(out.get())) {
    return damaged(parts.front().path,
                   fmt::format("the parts have {} tensors, not {}", gguf_get_n_tensors(out.get()), expected));
  }
  return out;
}

base::Status copy_tensor(const Part& part, std::int64_t id, std::FILE* from, std::FILE* to) {
  const std::size_t offset =
      gguf_get_data_offset(part.header.get()) + gguf_get_tensor_offset(part.header.get(), id);
  if (fseeko(from, static_cast<off_t>(offset), SEEK_SET) != 0) return failed("read", part.path);
  const std::size_t bytes = gguf_get_tensor_size(part.header.get(), id);
  std::vector<char> chunk(std::size_t{1} << 20);
  for (std::size_t left = bytes; left > 0;) {
    const std::size_t size = std::min(left, chunk.size());
    if (std::fread(chunk.data(), 1, size, from) != size) return failed("read", part.path);
    if (std::fwrite(chunk.data(), 1, size, to) != size) return failed("write the file joined of", part.path);
    left -= size;
  }
  const std::size_t padding = GGML_PAD(bytes, GGUF_DEFAULT_ALIGNMENT) - bytes;
  std::fill_n(chunk.begin(), padding, '\0');
  if (std::fwrite(chunk.data(), 1, padding, to) != padding)
    return failed("write the file joined of", part.path);
  return {};
}

}  // namespace

base::Status join_gguf(const std::vector<std::string>& paths, const std::string& to) {
  std::vector<Part> parts;
  for (const std::string& path : paths) {
    TRY_ASSIGN(Part part, open_part(path, parts.size(), paths.size()));
    parts.push_back(std::move(part));
  }
  if (parts.empty()) return base::invalid("no parts to join");
  TRY_ASSIGN(const Gguf header, joined_header(parts));
  TRY_ASSIGN(const File out, open(to, "wb"));
  std::vector<char> head(gguf_get_meta_size(header.get()));
  gguf_get_meta_data(header.get(), head.data());
  if (std::fwrite(head.data(), 1, head.size(), out.get()) != head.size()) return failed("write", to);
  for (const Part& part : parts) {
    TRY_ASSIGN(const File from, open(part.path, "rb"));
    for (std::int64_t i = 0; i < gguf_get_n_tensors(part.header.get()); ++i)
      TRY(copy_tensor(part, i, from.get(), out.get()));
  }
  if (std::fflush(out.get()) != 0 || fsync(fileno(out.get())) != 0) return failed("write", to);
  return check_gguf(to);
}

}  // namespace pmt::model
