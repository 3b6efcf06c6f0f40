#include "model/gguf_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "model/gguf_preflight.h"

namespace pmt::model {

base::Error GgufFile::wrong(const std::string& what) const {
  return {base::Code::kCorrupt,
          fmt::format("{}: {}; the file is damaged or not for this program: fetch it again", path_, what)};
}

base::Result<GgufFile> GgufFile::open(const std::string& path) {
  TRY(check_gguf(path));
  GgufFile out;
  out.path_ = path;
  out.file_.reset(std::fopen(path.c_str(), "rb"));
  if (!out.file_) {
    const base::Code code = errno == ENOENT ? base::Code::kNotFound : base::Code::kIo;
    return base::Error{code, fmt::format("can't open the model {}: {}", path, std::strerror(errno))};
  }
  struct stat info {};
  if (fstat(fileno(out.file_.get()), &info) != 0 || !S_ISREG(info.st_mode)) {
    return base::Error{base::Code::kIo, fmt::format("{} is not a regular file", path)};
  }
  out.bytes_ = info.st_size;
  out.gguf_.reset(gguf_init_from_file_ptr(out.file_.get(), gguf_init_params{true, nullptr}));
  if (!out.gguf_) return out.wrong("not a readable GGUF (bad magic, version or header)");
  const std::size_t data = gguf_get_data_offset(out.gguf_.get());
  for (std::int64_t i = 0; i < gguf_get_n_tensors(out.gguf_.get()); ++i) {
    const std::size_t end =
        data + gguf_get_tensor_offset(out.gguf_.get(), i) + gguf_get_tensor_size(out.gguf_.get(), i);
    if (end > static_cast<std::size_t>(out.bytes_)) {
      return out.wrong(fmt::format("truncated: tensor {} ends at byte {} of {}",
                                   gguf_get_tensor_name(out.gguf_.get(), i), end, out.bytes_));
    }
  }
  return out;
}

base::Result<std::string> GgufFile::text(const std::string& key) const {
  const std::int64_t id = gguf_find_key(gguf_.get(), key.c_str());
  if (id < 0 || gguf_get_kv_type(gguf_.get(), id) != GGUF_TYPE_STRING) {
    return wrong(fmt::format("its key {} is missing or not a string", key));
  }
  return std::string(gguf_get_val_str(gguf_.get(), id));
}

base::Result<std::int64_t> GgufFile::integer(const std::string& key) const {
  const std::int64_t id = gguf_find_key(gguf_.get(), key.c_str());
  if (id >= 0) {
    switch (gguf_get_kv_type(gguf_.get(), id)) {
      case GGUF_TYPE_UINT8:
        return gguf_get_val_u8(gguf_.get(), id);
      case GGUF_TYPE_INT8:
        return gguf_get_val_i8(gguf_.get(), id);
      case GGUF_TYPE_UINT16:
        return gguf_get_val_u16(gguf_.get(), id);
      case GGUF_TYPE_INT16:
        return gguf_get_val_i16(gguf_.get(), id);
      case GGUF_TYPE_UINT32:
        return gguf_get_val_u32(gguf_.get(), id);
      case GGUF_TYPE_INT32:
        return gguf_get_val_i32(gguf_.get(), id);
      case GGUF_TYPE_INT64:
        return gguf_get_val_i64(gguf_.get(), id);
      default:
        break;
    }
  }
  return wrong(fmt::format("its key {} is missing or not an integer", key));
}

base::Result<float> GgufFile::real(const std::string& key) const {
  const std::int64_t id = gguf_find_key(gguf_.get(), key.c_str());
  if (id < 0 || gguf_get_kv_type(gguf_.get(), id) != GGUF_TYPE_FLOAT32) {
    return wrong(fmt::format("its key {} is missing or not a 32-bit float", key));
  }
  return gguf_get_val_f32(gguf_.get(), id);
}

base::Result<std::vector<bool>> GgufFile::booleans(const std::string& key) const {
  const std::int64_t id = gguf_find_key(gguf_.get(), key.c_str());
  if (id < 0 || gguf_get_kv_type(gguf_.get(), id) != GGUF_TYPE_ARRAY ||
      gguf_get_arr_type(gguf_.get(), id) != GGUF_TYPE_BOOL) {
    return wrong(fmt::format("its key {} is missing or not an array of booleans", key));
  }
  const auto* values = static_cast<const std::int8_t*>(gguf_get_arr_data(gguf_.get(), id));
  return std::vector<bool>(values, values + gguf_get_arr_n(gguf_.get(), id));
}

std::int64_t GgufFile::integer_or(const std::string& key, std::int64_t fallback) const {
  const auto value = integer(key);
  return value ? *value : fallback;
}

float GgufFile::real_or(const std::string& key, float fallback) const {
  const auto value = real(key);
  return value ? *value : fallback;
}

std::optional<TensorInfo> GgufFile::find_tensor(const std::string& name) const {
  const std::int64_t id = gguf_find_tensor(gguf_.get(), name.c_str());
  if (id < 0) return {};
  const std::int64_t* ne = gguf_get_tensor_ne(gguf_.get(), id);
  TensorInfo info;
  info.name = name;
  info.type = gguf_get_tensor_type(gguf_.get(), id);
  info.columns = ne[0];
  info.rows = ne[1] * ne[2] * ne[3];
  info.offset = gguf_get_data_offset(gguf_.get()) + gguf_get_tensor_offset(gguf_.get(), id);
  info.bytes = gguf_get_tensor_size(gguf_.get(), id);
  return info;
}

base::Result<TensorInfo> GgufFile::tensor(const std::string& name, std::int64_t columns,
                                          std::int64_t rows) const {
  const auto info = find_tensor(name);
  if (!info) return wrong(fmt::format("tensor {} is missing", name));
  if (info->columns != columns || info->rows != rows) {
    return wrong(fmt::format("tensor {} is {} x {}, expected {} x {}", name, info->columns, info->rows,
                             columns, rows));
  }
  return *info;
}

base::Status GgufFile::read_tensor(const TensorInfo& tensor, void* to) const {
  if (fseeko(file_.get(), static_cast<off_t>(tensor.offset), SEEK_SET) != 0 ||
      std::fread(to, 1, tensor.bytes, file_.get()) != tensor.bytes) {
    return base::Error{base::Code::kIo,
                       fmt::format("{}: can't read tensor {}: {}", path_, tensor.name, std::strerror(errno))};
  }
  return {};
}

std::int64_t GgufFile::parameters() const {
  std::int64_t total = 0;
  for (std::int64_t i = 0; i < gguf_get_n_tensors(gguf_.get()); ++i) {
    const std::int64_t* ne = gguf_get_tensor_ne(gguf_.get(), i);
    total += ne[0] * ne[1] * ne[2] * ne[3];
  }
  return total;
}

}  // namespace pmt::model
