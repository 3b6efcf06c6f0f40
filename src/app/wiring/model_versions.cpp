#include "app/wiring/model_versions.h"

#include "base/file_digest.h"
#include "base/hash.h"

namespace pmt::app {

nlohmann::json answer_settings(const inference::LocalModelOptions& model) {
  const inference::LocalModelOptions by_default;
  nlohmann::json out;
  if (!model.chat_template.empty()) out["chat_template"] = base::sha256(model.chat_template).hex();
  if (model.kv_ratio != by_default.kv_ratio) out["kv_ratio"] = model.kv_ratio;
  if (model.kv_decoding != by_default.kv_decoding) out["kv_decoding"] = model.kv_decoding;
  if (model.kv_recent_tokens != by_default.kv_recent_tokens) out["kv_recent_tokens"] = model.kv_recent_tokens;
  if (model.runtime == inference::RuntimeChoice::kLibllama) out["runtime"] = "libllama";
  if (model.cell_type != by_default.cell_type) out["kv_type"] = inference::name_of(model.cell_type);
  return out;
}

nlohmann::json model_versions(const inference::LocalModelOptions& model) {
  nlohmann::json out = answer_settings(model);
  // It was read a moment ago. Where it is gone since, the server goes on, and its answers have a key of their own.
  const auto file = base::fingerprint_of_file(model.path);
  out["file"] = file ? file->hex() : "gone";
  return out;
}

}  // namespace pmt::app
