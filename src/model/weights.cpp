#include "model/weights.h"

#include <algorithm>
#include <optional>
#include <string>

#include <fmt/format.h>

#include "kernels/quant/matmul.h"
#include "model/packed_format.h"

namespace pmt::model {
namespace {

constexpr std::size_t kTensorsPerLayer = 20;  // above what layer() declares

/// The CPU's buffer types, the specialised (repacking) ones first.
std::vector<ggml_backend_buffer_type_t> cpu_buffer_types() {
  std::vector<ggml_backend_buffer_type_t> types;
  ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  auto* extra = reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_reg_get_proc_address(
      ggml_backend_dev_backend_reg(cpu), "ggml_backend_dev_get_extra_bufts"));
  if (extra != nullptr) {
    for (ggml_backend_buffer_type_t* type = extra(cpu); type != nullptr && *type != nullptr; ++type) {
      types.push_back(*type);
    }
  }
  types.push_back(ggml_backend_dev_buffer_type(cpu));
  return types;
}

/// Whether the CPU can multiply by a matrix of this shape and type kept in this kind of buffer. Asked of ggml
/// with an empty buffer of that kind, as llama.cpp does.
bool takes_matrix(ggml_backend_buffer_type_t buffer_type, ggml_type type, std::int64_t columns,
                  std::int64_t rows) {
  ggml_init_params params{ggml_tensor_overhead() * 8, nullptr, true};
  ggml_context* context = ggml_init(params);
  ggml_tensor* matrix = ggml_new_tensor_2d(context, type, columns, rows);
  ggml_tensor* input = ggml_new_tensor_2d(context, GGML_TYPE_F32, columns, 512);
  ggml_tensor* product = ggml_mul_mat(context, matrix, input);
  matrix->buffer = ggml_backend_buft_alloc_buffer(buffer_type, 0);
  ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  const bool ok = ggml_backend_dev_supports_op(cpu, product);
  ggml_backend_buffer_free(matrix->buffer);
  ggml_free(context);
  return ok;
}

/// What our kernels multiply, on a CPU that runs them.
std::optional<kernels::QuantFormat> packable(ggml_type type) {
  return kernels::quant_matmul() == nullptr ? std::nullopt : packed_format(type);
}

}  // namespace

/// Declares every tensor first, then allocates one buffer a kind, then reads the bytes.
class WeightLoader {
 public:
  WeightLoader(const GgufFile& file, const Hparams& h, Weights& out)
      : file_(file), out_(out), types_(cpu_buffer_types()) {
    const std::size_t tensors = static_cast<std::size_t>(h.layers) * kTensorsPerLayer + 8;
    for (std::size_t i = 0; i < types_.size(); ++i) {
      const ggml_init_params params{ggml_tensor_overhead() * tensors, nullptr, true};
      out_.contexts_.push_back(ggml_init(params));
    }
  }

  base::Status declare(const Hparams& h);
  base::Status allocate();
  base::Status read(const std::function<bool(float)>& on_progress);

 private:
  struct Planned {
    ggml_tensor* tensor;            // null: to be packed into `matrix`
    std::vector<TensorInfo> parts;  // rows one after another
    Matrix* matrix = nullptr;
  };

  static std::size_t planned_bytes(const Planned& planned);
  base::Status layer(const Hparams& h, int index);
  base::Status experts(const Hparams& h, const std::string& prefix, Experts& out);
  base::Status slices(const std::string& name, std::int64_t columns, std::int64_t rows, int experts,
                      std::vector<const kernels::PackedMatrix*>& out);
  base::Result<ggml_tensor*> floats(const std::string& name, std::int64_t columns, std::int64_t rows);
  base::Result<ggml_tensor*> vector(const std::string& name, std::int64_t length) {
    return floats(name, length, 1);
  }
  ggml_tensor* tensor(const std::vector<TensorInfo>& parts, std::size_t buffer_type);
  const Matrix* matrix(const std::vector<TensorInfo>& parts);
  base::Result<const Matrix*> matrix(const std::string& name, std::int64_t columns, std::int64_t rows);
  base::Result<Joined> joined(const std::vector<std::pair<std::string, std::int64_t>>& parts,
                              std::int64_t columns);
  std::size_t best_type(ggml_type type, std::int64_t columns, std::int64_t rows) const;

  const GgufFile& file_;
  Weights& out_;
  std::vector<ggml_backend_buffer_type_t> types_;
  std::vector<Planned> planned_;
};

std::size_t WeightLoader::best_type(ggml_type type, std::int64_t columns, std::int64_t rows) const {
  for (std::size_t i = 0; i + 1 < types_.size(); ++i) {
    if (takes_matrix(types_[i], type, columns, rows)) return i;
  }
  return types_.size() - 1;
}

base::Result<ggml_tensor*> WeightLoader::floats(const std::string& name, std::int64_t columns,
                                                std::int64_t rows) {
  TRY_ASSIGN(const TensorInfo info, file_.tensor(name, columns, rows));
  if (info.type != GGML_TYPE_F32) {
    return base::Error{base::Code::kCorrupt, fmt::format("{}: {} is not f32", file_.path(), name)};
  }
  return tensor({info}, types_.size() - 1);
}

ggml_tensor* WeightLoader::tensor(const std::vector<TensorInfo>& parts, std::size_t buffer_type) {
  std::int64_t rows = 0;
  for (const TensorInfo& part : parts) rows += part.rows;
  ggml_tensor* tensor =
      ggml_new_tensor_2d(out_.contexts_[buffer_type], parts[0].type, parts[0].columns, rows);
  ggml_set_name(tensor, parts[0].name.c_str());
  planned_.push_back({tensor, parts});
  return tensor;
}

const Matrix* WeightLoader::matrix(const std::vector<TensorInfo>& parts) {
  Matrix& out = out_.matrices_.emplace_back();
  if (packable(parts[0].type)) {
    planned_.push_back({nullptr, parts, &out});
    return &out;
  }
  std::int64_t rows = 0;
  for (const TensorInfo& part : parts) rows += part.rows;
  out.tensor = tensor(parts, best_type(parts[0].type, parts[0].columns, rows));
  return &out;
}

base::Result<const Matrix*> WeightLoader::matrix(const std::string& name, std::int64_t columns,
                                                 std::int64_t rows) {
  TRY_ASSIGN(const TensorInfo info, file_.tensor(name, columns, rows));
  return matrix({info});
}

base::Result<Joined> WeightLoader::joined(const std::vector<std::pair<std::string, std::int64_t>>& parts,
                                          std::int64_t columns) {
  Joined out;
  std::vector<TensorInfo> infos;
  for (const auto& [name, rows] : parts) {
    TRY_ASSIGN(TensorInfo info, file_.tensor(name, columns, rows));
    out.part_rows.push_back(rows);
    infos.push_back(std::move(info));
  }
  const bool same =
      std::all_of(infos.begin(), infos.end(), [&](const TensorInfo& i) { return i.type == infos[0].type; });
  std::vector<std::vector<TensorInfo>> groups;
  if (same) {
    groups.push_back(infos);
  } else {
    for (const TensorInfo& info : infos) groups.push_back({info});
  }
  for (const auto& group : groups) out.matrices.push_back(matrix(group));
  return out;
}

/// A file holds a layer's experts one after another in one tensor.
base::Status WeightLoader::slices(const std::string& name, std::int64_t columns, std::int64_t rows,
                                  int experts, std::vector<const kernels::PackedMatrix*>& out) {
  TRY_ASSIGN(const TensorInfo all, file_.tensor(name, columns, rows * experts));
  if (!packable(all.type)) {
    return base::invalid(
        fmt::format(
            "{}: {} of type {} is not supported: experts are where their products are packed, and this "
            "type's aren't on this machine",
            file_.path(), name, ggml_type_name(all.type)),
        "model");
  }
  TensorInfo one = all;
  one.rows = rows;
  one.bytes = ggml_row_size(all.type, columns) * static_cast<std::size_t>(rows);
  for (int i = 0; i < experts; ++i, one.offset += one.bytes) out.push_back(&matrix({one})->packed);
  return {};
}

base::Status WeightLoader::experts(const Hparams& h, const std::string& prefix, Experts& out) {
  out.used = h.experts_used;
  out.scale = h.expert_scale;
  TRY_ASSIGN(out.router, floats(prefix + "ffn_gate_inp.weight", h.hidden, h.experts));
  TRY(slices(prefix + "ffn_gate_exps.weight", h.hidden, h.feed_forward, h.experts, out.gate));
  TRY(slices(prefix + "ffn_up_exps.weight", h.hidden, h.feed_forward, h.experts, out.up));
  return slices(prefix + "ffn_down_exps.weight", h.feed_forward, h.hidden, h.experts, out.down);
}

base::Status WeightLoader::layer(const Hparams& h, int index) {
  const std::string prefix = fmt::format("blk.{}.", index);
  const auto expected = [&](const std::string& name) {
    return h.architecture.qkv_bias &&
           (name == "attn_q.bias" || name == "attn_k.bias" || name == "attn_v.bias");
  };
  for (const char* name : {"attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias", "ffn_gate.bias",
                           "ffn_up.bias", "ffn_down.bias"}) {
    if (!expected(name) && file_.find_tensor(prefix + name)) {
      return base::invalid(fmt::format("{}: {}{} is not supported", file_.path(), prefix, name), "model");
    }
  }
  const std::int64_t q = std::int64_t{h.heads} * h.head_dim;
  const std::int64_t kv = std::int64_t{h.kv_heads} * h.head_dim;
  LayerWeights out;
  TRY_ASSIGN(out.attention_norm, vector(prefix + "attn_norm.weight", h.hidden));
  TRY_ASSIGN(
      out.qkv,
      joined({{prefix + "attn_q.weight", q}, {prefix + "attn_k.weight", kv}, {prefix + "attn_v.weight", kv}},
             h.hidden));
  for (const auto& [name, length] : {std::pair("attn_q.bias", q), {"attn_k.bias", kv}, {"attn_v.bias", kv}}) {
    if (!h.architecture.qkv_bias) break;
    TRY_ASSIGN(ggml_tensor * bias, vector(prefix + name, length));
    out.qkv_bias.push_back(bias);
  }
  if (h.architecture.qk_norm) {
    TRY_ASSIGN(out.q_norm, vector(prefix + "attn_q_norm.weight", h.head_dim));
    TRY_ASSIGN(out.k_norm, vector(prefix + "attn_k_norm.weight", h.head_dim));
  }
  TRY_ASSIGN(out.attention_out, matrix(prefix + "attn_output.weight", q, h.hidden));
  if (h.architecture.post_norms) {
    TRY_ASSIGN(out.attention_post_norm, vector(prefix + "post_attention_norm.weight", h.hidden));
    TRY_ASSIGN(out.ffn_post_norm, vector(prefix + "post_ffw_norm.weight", h.hidden));
  }
  TRY_ASSIGN(out.ffn_norm, vector(prefix + "ffn_norm.weight", h.hidden));
  if (h.experts > 0) {
    TRY(experts(h, prefix, out.experts));
  } else {
    TRY_ASSIGN(out.gate_up, joined({{prefix + "ffn_gate.weight", h.feed_forward},
                                    {prefix + "ffn_up.weight", h.feed_forward}},
                                   h.hidden));
    TRY_ASSIGN(out.ffn_down, matrix(prefix + "ffn_down.weight", h.feed_forward, h.hidden));
  }
  out_.layers.push_back(std::move(out));
  return {};
}

base::Status WeightLoader::declare(const Hparams& h) {
  TRY_ASSIGN(const TensorInfo embedding, file_.tensor("token_embd.weight", h.hidden, h.vocabulary));
  const bool tied = !file_.find_tensor("output.weight");
  if (tied && packable(embedding.type)) {
    // Rows can be looked up in what is packed as well: slower by far, but they are few.
    out_.token_embedding = out_.output = matrix({embedding});
  } else {
    // ggml looks rows up in the plain buffer alone.
    out_.token_embedding = &out_.matrices_.emplace_back(Matrix{tensor({embedding}, types_.size() - 1), {}});
    const bool plain = best_type(embedding.type, h.hidden, h.vocabulary) == types_.size() - 1;
    if (tied && plain) {
      out_.output = out_.token_embedding;
    } else {
      TRY_ASSIGN(out_.output, matrix(tied ? "token_embd.weight" : "output.weight", h.hidden, h.vocabulary));
    }
  }
  TRY_ASSIGN(out_.output_norm, vector("output_norm.weight", h.hidden));
  for (int i = 0; i < h.layers; ++i) TRY(layer(h, i));
  if (const auto factors = file_.find_tensor("rope_freqs.weight")) {
    TRY_ASSIGN(const TensorInfo info, file_.tensor("rope_freqs.weight", h.rope_dims / 2, 1));
    if (info.type != GGML_TYPE_F32) {
      return base::Error{base::Code::kCorrupt, fmt::format("{}: rope_freqs.weight is not f32", file_.path())};
    }
    out_.rope_factors.resize(static_cast<std::size_t>(info.columns));
    TRY(file_.read_tensor(info, out_.rope_factors.data()));
  }
  return {};
}

base::Status WeightLoader::allocate() {
  for (std::size_t i = 0; i < types_.size(); ++i) {
    if (ggml_get_first_tensor(out_.contexts_[i]) == nullptr) continue;
    ggml_backend_buffer_t buffer = ggml_backend_alloc_ctx_tensors_from_buft(out_.contexts_[i], types_[i]);
    if (buffer == nullptr) {
      return base::Error{
          base::Code::kUnavailable,
          fmt::format("not enough memory for the weights of {} ({} MiB)", file_.path(), file_.bytes() >> 20)};
    }
    ggml_backend_buffer_set_usage(buffer, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    out_.buffers_.push_back(buffer);
    out_.bytes += static_cast<std::int64_t>(ggml_backend_buffer_get_size(buffer));
  }
  return {};
}

std::size_t WeightLoader::planned_bytes(const Planned& planned) {
  if (planned.tensor != nullptr) return ggml_nbytes(planned.tensor);
  std::size_t rows = 0;
  for (const TensorInfo& part : planned.parts) rows += static_cast<std::size_t>(part.rows);
  return rows * ggml_row_size(planned.parts[0].type, planned.parts[0].columns);
}

base::Status WeightLoader::read(const std::function<bool(float)>& on_progress) {
  std::vector<std::byte> bytes;
  std::size_t done = 0;
  for (const Planned& planned : planned_) {
    bytes.resize(planned_bytes(planned));
    std::size_t at = 0;
    for (const TensorInfo& part : planned.parts) {
      if (at + part.bytes > bytes.size()) {
        return base::Error{base::Code::kCorrupt,
                           fmt::format("{}: {} has a size that its type denies", file_.path(), part.name)};
      }
      TRY(file_.read_tensor(part, bytes.data() + at));
      at += part.bytes;
    }
    if (planned.tensor != nullptr) {
      ggml_backend_tensor_set(planned.tensor, bytes.data(), 0, bytes.size());
    } else {
      std::int64_t rows = 0;
      for (const TensorInfo& part : planned.parts) rows += part.rows;
      planned.matrix->packed =
          kernels::PackedMatrix(*packed_format(planned.parts[0].type), static_cast<int>(rows),
                                static_cast<int>(planned.parts[0].columns), bytes.data());
      out_.bytes += static_cast<std::int64_t>(planned.matrix->packed.bytes());
    }
    const float share = static_cast<float>(++done) / static_cast<float>(planned_.size());
    if (on_progress && !on_progress(share))
      return base::Error{base::Code::kCancelled, fmt::format("{}: its loading was ended", file_.path())};
  }
  return {};
}

base::Result<std::unique_ptr<Weights>> Weights::load(const GgufFile& file, const Hparams& hparams,
                                                     const std::function<bool(float)>& on_progress) {
  std::unique_ptr<Weights> out(new Weights());
  WeightLoader loader(file, hparams, *out);
  TRY(loader.declare(hparams));
  TRY(loader.allocate());
  TRY(loader.read(on_progress));
  return out;
}

Weights::~Weights() {
  for (ggml_backend_buffer_t buffer : buffers_) ggml_backend_buffer_free(buffer);
  for (ggml_context* context : contexts_) ggml_free(context);
}

}  // namespace pmt::model
