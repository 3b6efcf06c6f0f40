#include "engine/model_header.h"

#include <fmt/format.h>

#include "model/gguf_file.h"
#include "model/gguf_preflight.h"

namespace pmt::engine {
namespace {

constexpr char kTokenizer[] = "tokenizer.ggml.model";

base::Status check_writes(const model::GgufFile& file, const std::string& architecture) {
  const std::string type = file.text("general.type").value_or("model");
  if (type != "model") {
    return base::invalid(
        fmt::format("{} is no model but a part for one ({}): move it out of the folder", file.path(), type));
  }
  // As llama.cpp's converter marks models that pool their tokens into one vector: 0 is "don't".
  if (file.integer_or(architecture + ".pooling_type", 0) > 0) {
    return base::invalid(fmt::format(
        "{} makes embeddings, it doesn't write: name it in [embeddings] path, and move it out of the folder",
        file.path()));
  }
  const std::string tokenizer = file.text(kTokenizer).value_or("none");
  if (tokenizer == "none" || tokenizer == "no_vocab") {
    return base::Error{
        base::Code::kCorrupt,
        fmt::format(
            "{} has no tokenizer ({}): fetch a complete file, or convert the model anew together with "
            "its tokenizer's files",
            file.path(), kTokenizer)};
  }
  return {};
}

}  // namespace

base::Result<ModelHeader> read_model_header(const std::string& path) {
  TRY(model::check_gguf(path));
  TRY_ASSIGN(const model::GgufFile file, model::GgufFile::open(path));
  ModelHeader out;
  TRY_ASSIGN(out.architecture, file.text("general.architecture"));
  TRY(check_writes(file, out.architecture));
  out.context_tokens = file.integer_or(out.architecture + ".context_length", 0);
  out.parameters = file.parameters();
  out.file_bytes = file.bytes();
  out.has_chat_template = file.has("tokenizer.chat_template");
  return out;
}

}  // namespace pmt::engine
