#include "compression/calibration.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "compression/calibrator.h"

namespace pmt::compression {
namespace {

constexpr std::size_t kPoolBytes = std::size_t{1} << 30;  // address space; a 135M model uses a tenth
constexpr int kTokensAtOnce = 128;  // through the model; the same ones whenever it is done
constexpr std::size_t kFileBytesMax = std::size_t{256} << 20;

constexpr char kMagic[8] = {'p', 'm', 't', '-', 'k', 'v', '0', '2'};
struct Header {
  char magic[8];
  std::int64_t file_bytes;
  std::int32_t layers, kv_heads, width, reserved;
  double explained;
};

Header header_of(const model::Transformer& transformer, double explained) {
  const auto& h = transformer.hparams();
  Header out{};
  std::memcpy(out.magic, kMagic, sizeof(kMagic));
  out.file_bytes = transformer.file_bytes();
  out.layers = h.layers;
  out.kv_heads = h.kv_heads;
  out.width = h.hidden;
  out.explained = explained;
  return out;
}

}  // namespace

base::Result<Calibration> calibrate(model::Transformer& transformer, const model::Vocab& vocab,
                                    const CalibrateOptions& options) {
  // A pool of its own: the server's may be full of other requests' pages.
  TRY_ASSIGN(const auto pool, transformer.make_pool(kPoolBytes));
  Calibrator calibrator(transformer, vocab, *pool,
                        {.piece_tokens = options.piece_tokens,
                         .free_share = 0,
                         .state_path = state_path_of(options.path),
                         .on_warning = options.on_warning});
  while (true) {
    TRY_ASSIGN(const Calibrator::Step step, calibrator.step(kTokensAtOnce));
    if (step == Calibrator::Step::kNoPages)
      return base::Error{base::Code::kUnavailable, "calibrating needs more KV pages than its pool has"};
    if (options.on_progress) options.on_progress(static_cast<float>(calibrator.progress()));
    if (step == Calibrator::Step::kDone) return *calibrator.result();
  }
}

std::string to_bytes(const Calibration& calibration, const model::Transformer& transformer) {
  const Header header = header_of(transformer, calibration.explained);
  const auto& weights = calibration.predictor.weights;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes.append(reinterpret_cast<const char*>(weights.data()), weights.size() * sizeof(float));
  return bytes;
}

base::Status save(const Calibration& calibration, const model::Transformer& transformer,
                  const std::string& path) {
  std::error_code ignored;  // where there is no folder, writing says so
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  if (!base::replace_file(path, to_bytes(calibration, transformer)))
    return base::Error{base::Code::kIo, fmt::format("the calibration can't be written to {}", path)};
  std::filesystem::remove(state_path_of(path), ignored);
  return {};
}

base::Result<Calibration> read_calibration(std::string_view bytes, const model::Transformer& transformer,
                                           const std::string& path) {
  Header header{};
  std::memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof(header)));
  const Header want = header_of(transformer, header.explained);
  Calibration out;
  out.explained = header.explained;
  out.predictor.width = want.width;
  out.predictor.weights.resize(static_cast<std::size_t>(want.layers) *
                               static_cast<std::size_t>(want.kv_heads) *
                               static_cast<std::size_t>(want.width + 1));
  auto& weights = out.predictor.weights;
  const bool fits = bytes.size() == sizeof(header) + weights.size() * sizeof(float);
  if (fits && std::memcmp(&header, &want, sizeof(want)) == 0) {
    std::memcpy(weights.data(), bytes.data() + sizeof(header), weights.size() * sizeof(float));
    if (std::all_of(weights.begin(), weights.end(), [](float x) { return std::isfinite(x); })) return out;
  }
  return base::Error{base::Code::kCorrupt, path + " is not a calibration of this model: delete it"};
}

base::Result<Calibration> load_calibration(const model::Transformer& transformer, const std::string& path) {
  TRY_ASSIGN(const std::string bytes, base::read_file(path, kFileBytesMax));
  return read_calibration(bytes, transformer, path);
}

std::string state_path_of(const std::string& path) {
  return path.empty() ? "" : path + ".part";
}

base::Result<Calibration> known_calibration(const model::Transformer& transformer,
                                            const CalibrateOptions& options) {
  if (!options.path.empty()) {
    auto stored = load_calibration(transformer, options.path);
    if (stored) return stored;
    if (stored.error().code != base::Code::kNotFound) options.on_warning(stored.error().message);
  }
  if (!options.shipped.empty()) {
    auto shipped = read_calibration(options.shipped, transformer, "what came with the product");
    if (shipped) return shipped;
    options.on_warning(shipped.error().message);
  }
  return base::Error{base::Code::kNotFound, "the model has no calibration yet"};
}

base::Result<Calibration> load_or_calibrate(model::Transformer& transformer, const model::Vocab& vocab,
                                            const CalibrateOptions& options) {
  if (auto known = known_calibration(transformer, options)) return known;
  TRY_ASSIGN(Calibration made, calibrate(transformer, vocab, options));
  if (!options.path.empty()) {
    if (const auto saved = save(made, transformer, options.path); !saved)
      options.on_warning(saved.error().message);
  }
  return made;
}

}  // namespace pmt::compression
