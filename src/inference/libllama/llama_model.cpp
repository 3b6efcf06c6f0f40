#include "inference/libllama/llama_model.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>

#include <fmt/format.h>

#include "base/file.h"
#include "inference/libllama/llama_bytes.h"
#include "inference/memory_fit.h"
#include "inference/prompt_echo.h"
#include "model/llama_log.h"

namespace pmt::inference {
namespace {

/// A sequence costs little in cells; its row of logits is kept for each, which a large vocabulary makes 40 MB of.
constexpr int kSequences = 64;
/// Each has a window's cells of its own in every local layer.
constexpr int kSequencesWithWindow = 32;
/// Each has states of its own, and libllama takes the memory for all of them at once.
constexpr int kSequencesWithStates = 16;
constexpr int kContextsMax = 4;     // of the model's length, that the cells hold
constexpr int kCellsMax = 1 << 20;  // beyond any kv_bytes_max that a machine without an accelerator has
constexpr int kCellsMin = 256;      // libllama's own step
constexpr int kFirstProbe = 4096;   // cells
constexpr double kNearlyAll = 0.9;  // of kv_bytes_max: near enough

base::Status check_writes(const llama_model* model) {
  if (llama_model_has_encoder(model))
    return base::invalid(
        "it has an encoder, and requests go to decoders only: models of the T5 kind aren't served", "model");
  if (llama_model_is_diffusion(model))
    return base::invalid("it writes by diffusion, not token by token: such models aren't served", "model");
  return {};
}

int sequences_of(const llama_model* model, const LocalModelOptions& options) {
  int most = kSequences;
  if (llama_model_n_swa(model) > 0) most = kSequencesWithWindow;
  if (llama_model_is_recurrent(model) || llama_model_is_hybrid(model)) most = kSequencesWithStates;
  return std::clamp(options.sequences_max, 1, most);
}

int context_tokens_of(const llama_model* model) {
  const int trained = llama_model_n_ctx_train(model);
  return trained > 0 ? trained : kFirstProbe;
}

int whole_cells(double cells, int most) {
  const double kept = std::clamp(cells, double{kCellsMin}, static_cast<double>(most));
  return std::max(kCellsMin, static_cast<int>(kept) / kCellsMin * kCellsMin);
}

/// As many cells as `bytes_max` holds: libllama's layers differ in what they keep, so it is asked until it is near.
base::Result<int> cells_within(const LlamaProbe& probe, LlamaContextOptions options, int most,
                               std::int64_t bytes_max) {
  constexpr int kProbes = 6;
  options.cells = whole_cells(kFirstProbe, most);
  for (int i = 0; i < kProbes; ++i) {
    TRY_ASSIGN(const LlamaBytes bytes, probe.of(params_of(options)));
    if (bytes.memory == 0) return most;
    const double share = static_cast<double>(bytes.memory) / static_cast<double>(bytes_max);
    const int next = whole_cells(options.cells / share, most);
    if (next == options.cells || (share <= 1 && share >= kNearlyAll)) break;
    options.cells = next;
  }
  return options.cells;
}

std::string text_of(const llama_model* model, const char* key) {
  std::array<char, 128> text{};
  llama_model_meta_val_str(model, key, text.data(), text.size());
  return text.data();
}

base::Error of_file(base::Error error, const std::string& path) {
  error.message = fmt::format("{}: {}", path, error.message);
  return error;
}

}  // namespace

base::Result<std::unique_ptr<LlamaModel>> LlamaModel::load(LocalModelOptions& options) {
  model::init_llama();
  TRY(base::check_file(options.path));
  std::unique_ptr<LlamaModel> out(new LlamaModel());
  if (const auto planned = out->plan_memory(options); !planned) {
    const bool ours = planned.error().code == base::Code::kInvalidArgument;
    return ours ? of_file(planned.error(), options.path) : planned.error();
  }
  TRY(out->read(options));
  out->describe(options);
  return out;
}

base::Status LlamaModel::plan_memory(LocalModelOptions& options) {
  TRY_ASSIGN(const LlamaProbe probe, LlamaProbe::open(options.path));
  TRY(check_writes(probe.model()));
  const int trained = context_tokens_of(probe.model());
  const int most = whole_cells(static_cast<double>(kContextsMax) * trained, kCellsMax);
  context_.type = options.cell_type;
  context_.sequences = sequences_of(probe.model(), options);
  context_.batch_tokens = options.prefill_chunk_tokens + context_.sequences;
  const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(probe.model()));
  context_.rows =
      context_.sequences + std::min(options.prefill_chunk_tokens, PromptEcho::rows_max(vocabulary));
  context_.threads = options.threads;

  context_.cells = whole_cells(kFirstProbe, most);
  TRY_ASSIGN(const LlamaBytes first, probe.of(params_of(context_)));
  TRY_ASSIGN(const MemoryFit fit, fit_memory({.name = options.name,
                                              .available = options.memory_available(),
                                              .weights = first.weights,
                                              .kv_bytes_max = static_cast<std::int64_t>(options.kv_bytes_max),
                                              .kv_bytes_per_token = first.memory / context_.cells}));
  options.kv_bytes_max = static_cast<std::size_t>(fit.kv_bytes_max);
  if (!fit.warning.empty()) options.on_warning(fit.warning);
  while (llama_model_is_recurrent(probe.model()) &&
         context_.sequences > 1) {  // fewer states, if they don't fit
    TRY_ASSIGN(const LlamaBytes states, probe.of(params_of(context_)));
    if (states.memory <= fit.kv_bytes_max) break;
    context_.sequences /= 2;
  }
  TRY_ASSIGN(context_.cells, cells_within(probe, context_, most, fit.kv_bytes_max));

  LlamaContextOptions exact = context_;
  exact.type = CellType::kF16;
  TRY_ASSIGN(const LlamaBytes at_f16, probe.of(params_of(exact)));
  memory_bytes_f16_ = at_f16.memory;
  return {};
}

base::Status LlamaModel::read(const LocalModelOptions& options) {
  llama_model_params params = llama_model_default_params();
  if (!options.maps_file) params.load_mode = LLAMA_LOAD_MODE_NONE;
  if (options.on_load_progress) {
    params.progress_callback = [](float done, void* listener) {
      return (*static_cast<const std::function<bool(float)>*>(listener))(done);
    };
    params.progress_callback_user_data =
        const_cast<std::function<bool(float)>*>(&options.on_load_progress);  // NOLINT: only called
  }
  const model::LlamaLogCapture log;
  model_.reset(llama_model_load_from_file(options.path.c_str(), params));
  if (model_ != nullptr) return {};
  return base::Error{base::Code::kCorrupt,
                     fmt::format("{} can't be loaded through libllama: {}", options.path, log.reason())};
}

void LlamaModel::describe(const LocalModelOptions& options) {
  info_.name = options.name;
  info_.path = options.path;
  info_.architecture = text_of(model_.get(), "general.architecture");
  info_.context_tokens = std::min(context_tokens_of(model_.get()), context_.cells);
  info_.parameters = static_cast<std::int64_t>(llama_model_n_params(model_.get()));
  std::error_code ignored;  // it was read just now
  info_.file_bytes = static_cast<std::int64_t>(std::filesystem::file_size(options.path, ignored));
  info_.runs_elsewhere = fmt::format("architecture {} runs through libllama", info_.architecture);
  info_.cell_type = name_of(options.cell_type);
}

bool LlamaModel::has_states() const {
  return llama_model_is_recurrent(model_.get()) || llama_model_is_hybrid(model_.get());
}

}  // namespace pmt::inference
