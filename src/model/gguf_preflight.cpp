#include "model/gguf_preflight.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include <fmt/format.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <gguf.h>

#include "base/file.h"

namespace pmt::model {
namespace {

using base::Code;
using base::Error;

constexpr std::uint64_t kKeysMax = 1 << 16;
constexpr std::uint64_t kTensorsMax = 1 << 16;
constexpr std::uint64_t kNameMax = 1 << 10;
constexpr std::uint64_t kAlignmentMax = 1 << 16;
constexpr std::uint64_t kElementsMax = std::uint64_t{1} << 40;
constexpr std::uint64_t kTextMax = 1 << 24;  // of a value; a chat template has some thousand bytes
constexpr std::int64_t kLayersMax = 512;     // libllama's
constexpr std::uint32_t kVersionMax = 1000;  // above it is damage, or of a machine of the other byte order

/// Bytes of a value, 0 for texts and lists.
std::uint64_t size_of(std::uint32_t type) {
  switch (type) {
    case GGUF_TYPE_UINT8:
    case GGUF_TYPE_INT8:
    case GGUF_TYPE_BOOL:
      return 1;
    case GGUF_TYPE_UINT16:
    case GGUF_TYPE_INT16:
      return 2;
    case GGUF_TYPE_UINT32:
    case GGUF_TYPE_INT32:
    case GGUF_TYPE_FLOAT32:
      return 4;
    case GGUF_TYPE_UINT64:
    case GGUF_TYPE_INT64:
    case GGUF_TYPE_FLOAT64:
      return 8;
    default:
      return 0;
  }
}

std::optional<std::int64_t> integer_of(std::uint32_t type, std::uint64_t bits) {
  switch (type) {
    case GGUF_TYPE_INT8:
      return static_cast<std::int8_t>(bits);
    case GGUF_TYPE_INT16:
      return static_cast<std::int16_t>(bits);
    case GGUF_TYPE_INT32:
      return static_cast<std::int32_t>(bits);
    case GGUF_TYPE_FLOAT32:
    case GGUF_TYPE_FLOAT64:
      return std::nullopt;
    default:
      return static_cast<std::int64_t>(bits);
  }
}

/// What ggml looks rows up in and multiplies by.
bool is_weight_type(std::uint32_t type) {
  if (type >= GGML_TYPE_COUNT) return false;
  const auto known = static_cast<ggml_type>(type);
  if (known == GGML_TYPE_F32 || known == GGML_TYPE_F16 || known == GGML_TYPE_BF16) return true;
  return ggml_is_quantized(known) && ggml_blck_size(known) > 0 &&
         ggml_get_type_traits(known)->to_float != nullptr &&
         ggml_get_type_traits_cpu(known)->vec_dot != nullptr;
}

class Header {
 public:
  Header(std::FILE* file, std::uint64_t bytes, GgufExtent extent)
      : file_(file), bytes_(bytes), extent_(extent) {}

  base::Status check() {
    std::array<char, 4> magic{};
    TRY(read(magic.data(), magic.size(), "its magic"));
    if (std::string_view(magic.data(), magic.size()) != "GGUF")
      return wrong("it doesn't begin with the magic GGUF");
    TRY_ASSIGN(const auto version, number<std::uint32_t>("its version"));
    newer_ = version > 3 && version <= kVersionMax;
    if (version != 2 && version != 3) return wrong(fmt::format("its version is {}, not 2 or 3", version));
    TRY_ASSIGN(const auto tensors, number<std::uint64_t>("its count of tensors"));
    TRY_ASSIGN(const auto keys, number<std::uint64_t>("its count of keys"));
    if (tensors > kTensorsMax || keys > kKeysMax)
      return wrong(fmt::format("it counts {} tensors and {} keys", tensors, keys));
    for (std::uint64_t i = 0; i < keys; ++i) TRY(key());
    TRY(check_keys());
    for (std::uint64_t i = 0; i < tensors; ++i) TRY(tensor());
    return check_places();
  }
  /// What to do about a file that it refuses.
  const char* way_out() const {
    return newer_ ? "a newer program wrote it: take a newer release of this one, or the file in version 3"
                  : "the file is damaged or not for this program: fetch it again";
  }

 private:
  struct Place {
    std::string name;
    std::uint64_t offset, bytes;
  };

  static Error wrong(const std::string& what) { return {Code::kCorrupt, what}; }

  base::Status read(void* to, std::uint64_t count, std::string_view what) {
    if (count > bytes_ - at_ || std::fread(to, 1, count, file_) != count)
      return wrong(fmt::format("it ends in {} (byte {} of {})", what, at_, bytes_));
    at_ += count;
    return {};
  }

  template <class T>
  base::Result<T> number(std::string_view what) {
    T out{};
    TRY(read(&out, sizeof(out), what));
    return out;
  }

  base::Result<std::string> text(std::string_view what, std::uint64_t most) {
    TRY_ASSIGN(const auto length, number<std::uint64_t>(what));
    if (length > most || length > bytes_ - at_)
      return wrong(fmt::format("{} has {} bytes, more than is left or allowed", what, length));
    std::string out(length, '\0');
    TRY(read(out.data(), length, what));
    return out;
  }

  /// A name that none of `others` has. ggml compares names up to their first zero byte: there may be none.
  base::Result<std::string> read_name(std::string_view kind, std::uint64_t most,
                                      std::unordered_set<std::string>& others) {
    TRY_ASSIGN(std::string out, text(fmt::format("a {}'s name", kind), most));
    if (out.find('\0') != std::string::npos)
      return wrong(fmt::format("{} {} has a zero byte in its name", kind, printable(out)));
    if (out.empty() || !others.insert(out).second)
      return wrong(fmt::format("{} {} is empty or given twice", kind, printable(out)));
    return out;
  }

  base::Status key() {
    TRY_ASSIGN(const std::string name, read_name("key", kNameMax, names_));
    const std::string what = fmt::format("key {}", printable(name));
    TRY_ASSIGN(const auto type, number<std::uint32_t>(what));
    if (name == "general.alignment" && type != GGUF_TYPE_UINT32)
      return wrong(fmt::format("{} has the type {}, not a whole number of 32 bits", what, type));
    if (type == GGUF_TYPE_ARRAY) return list(what);
    if (type == GGUF_TYPE_STRING) {
      TRY_ASSIGN(texts_[name], text(what, kTextMax));
      return {};
    }
    const std::uint64_t size = size_of(type);
    if (size == 0) return wrong(fmt::format("{} has the unknown type {}", what, type));
    std::uint64_t bits = 0;
    TRY(read(&bits, size, what));
    if (const auto value = integer_of(type, bits)) integers_[name] = *value;
    return {};
  }

  base::Status list(const std::string& what) {
    TRY_ASSIGN(const auto type, number<std::uint32_t>(what));
    TRY_ASSIGN(const auto count, number<std::uint64_t>(what));
    const std::uint64_t size = type == GGUF_TYPE_STRING ? 8 : size_of(type);
    if (size == 0) return wrong(fmt::format("{} is a list of the unknown type {}", what, type));
    if (count > (bytes_ - at_) / size)
      return wrong(fmt::format("{} has {} entries, more than the file can hold", what, count));
    if (type == GGUF_TYPE_STRING) {
      for (std::uint64_t i = 0; i < count; ++i) TRY(text(what, kTextMax));
      return {};
    }
    std::array<char, 1 << 14> skipped{};
    for (std::uint64_t left = count * size; left > 0;) {
      const std::uint64_t part = std::min<std::uint64_t>(left, skipped.size());
      TRY(read(skipped.data(), part, what));
      left -= part;
    }
    return {};
  }

  std::int64_t integer_or(const std::string& name, std::int64_t fallback) const {
    const auto found = integers_.find(name);
    return found == integers_.end() ? fallback : found->second;
  }

  base::Status check_keys() {
    alignment_ = static_cast<std::uint64_t>(integer_or("general.alignment", GGUF_DEFAULT_ALIGNMENT));
    if (alignment_ > kAlignmentMax || !std::has_single_bit(alignment_) || alignment_ < 8)
      return wrong(fmt::format("key general.alignment is {}", alignment_));
    if (extent_ == GgufExtent::kWhole && integer_or("split.count", 0) > 1) {
      return wrong(
          "it is one part of a model split over several files (`permutation models pull` fetches and joins "
          "all of them)");
    }
    const auto named = texts_.find("general.architecture");
    const std::string arch = named == texts_.end() ? "" : named->second;
    const std::int64_t layers = integer_or(arch + ".block_count", 1);
    if (layers < 1 || layers > kLayersMax)
      return wrong(fmt::format("key {}.block_count is {}", printable(arch), layers));
    for (const auto& [name, value] : integers_) {
      const std::string_view rest = std::string_view(name).substr(std::min(arch.size(), name.size()));
      const bool counts_more = rest.starts_with(".expert_") || rest.starts_with(".nextn_");
      if (!arch.empty() && name.starts_with(arch) && counts_more && (value < 0 || value > layers * 65536))
        return wrong(fmt::format("key {} is {}", printable(name), value));
    }
    if (integer_or(arch + ".expert_count", 0) == 0 && integer_or(arch + ".expert_used_count", 0) > 0)
      return wrong("it uses experts and has none");
    if (integer_or(arch + ".nextn_predict_layers", 0) > layers)
      return wrong("it predicts by more layers than it has");
    return check_tokenizer();
  }

  /// Kinds that libllama loads without aborting, whatever else the file says (token_list_check.h looks closer at some).
  base::Status check_tokenizer() const {
    const auto kind = texts_.find("tokenizer.ggml.model");
    if (kind == texts_.end()) return {};
    constexpr std::array<std::string_view, 9> kKinds{"llama", "gpt2",   "gemma4",   "bert", "t5",
                                                     "rwkv",  "plamo2", "no_vocab", "none"};
    if (std::ranges::find(kKinds, kind->second) != kKinds.end()) return {};
    return wrong(fmt::format("its kind of tokenizer, '{}', is unknown", printable(kind->second)));
  }

  base::Status tensor() {
    TRY_ASSIGN(const std::string name, read_name("tensor", GGML_MAX_NAME - 1, tensors_));
    const std::string what = fmt::format("tensor {}", printable(name));
    TRY_ASSIGN(const auto dimensions, number<std::uint32_t>(what));
    if (dimensions < 1 || dimensions > GGML_MAX_DIMS)
      return wrong(fmt::format("{} has {} dimensions", what, dimensions));
    std::uint64_t elements = 1;
    std::uint64_t columns = 0;
    for (std::uint32_t i = 0; i < dimensions; ++i) {
      TRY_ASSIGN(const auto length, number<std::uint64_t>(what));
      if (length < 1 || length > kElementsMax / elements)
        return wrong(fmt::format("{} has a dimension of {}", what, length));
      elements *= length;
      if (i == 0) columns = length;
    }
    TRY_ASSIGN(const auto type, number<std::uint32_t>(what));
    if (!is_weight_type(type))
      return wrong(fmt::format("{} has the type {}, which can't be used", what, type));
    const auto known = static_cast<ggml_type>(type);
    const auto block = static_cast<std::uint64_t>(ggml_blck_size(known));
    if (columns % block != 0)
      return wrong(fmt::format("{} has rows of {}, not of whole blocks of {}", what, columns, block));
    TRY_ASSIGN(const auto offset, number<std::uint64_t>(what));
    if (offset % alignment_ != 0) return wrong(fmt::format("{} lies at {}, not aligned", what, offset));
    if (offset != data_bytes_) {
      return wrong(
          fmt::format("{} lies at {}, not at {} where the tensor before it ends", what, offset, data_bytes_));
    }
    const std::uint64_t bytes = elements / block * ggml_type_size(known);
    data_bytes_ += (bytes + alignment_ - 1) / alignment_ * alignment_;
    places_.push_back({name, offset, bytes});
    return {};
  }

  base::Status check_places() const {
    const std::uint64_t data = (at_ + alignment_ - 1) / alignment_ * alignment_;
    for (const Place& place : places_) {
      if (data > bytes_ || place.offset > bytes_ - data || place.bytes > bytes_ - data - place.offset) {
        return wrong(fmt::format("truncated: tensor {} ends at byte {} of {}", printable(place.name),
                                 data + place.offset + place.bytes, bytes_));
      }
    }
    return {};
  }

  /// A name from the file, fit for a message.
  static std::string printable(std::string_view name) {
    std::string out(name.substr(0, 80));
    for (char& c : out) c = c >= 32 && c < 127 ? c : '?';
    return out;
  }

  std::FILE* file_;
  std::uint64_t bytes_;
  GgufExtent extent_;
  bool newer_ = false;  // of a version that this program doesn't know yet
  std::uint64_t at_ = 0;
  std::uint64_t alignment_ = GGUF_DEFAULT_ALIGNMENT;
  std::uint64_t data_bytes_ = 0;  // of the tensors so far, each padded
  std::unordered_set<std::string> names_, tensors_;
  std::map<std::string, std::int64_t> integers_;
  std::map<std::string, std::string> texts_;
  std::vector<Place> places_;
};

}  // namespace

base::Status check_gguf(const std::string& path, GgufExtent extent) {
  TRY(base::check_file(path));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (file == nullptr) {
    return Error{errno == ENOENT ? Code::kNotFound : Code::kIo,
                 fmt::format("can't open the model {}: {}", path, std::strerror(errno))};
  }
  struct stat info {};
  if (fstat(fileno(file.get()), &info) != 0 || !S_ISREG(info.st_mode))
    return Error{Code::kIo, fmt::format("{} is not a regular file", path)};
  Header header(file.get(), static_cast<std::uint64_t>(info.st_size), extent);
  if (const auto checked = header.check(); !checked) {
    return Error{checked.error().code, fmt::format("{} can't be loaded as a GGUF model: {}; {}", path,
                                                   checked.error().message, header.way_out())};
  }
  return {};
}

}  // namespace pmt::model
