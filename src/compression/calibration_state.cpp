#include "compression/calibration_state.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <type_traits>

namespace pmt::compression {
namespace {

constexpr std::string_view kStateMagic = "pmt-kvs1";
constexpr std::int32_t kCountMax = 1 << 20;  // of pieces, texts and their tokens: far above any

template <class T>
void put(std::string& out, const T& value) {
  static_assert(std::is_arithmetic_v<T>);
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void put(std::string& out, const StateOf& of) {
  put(out, of.file_bytes);
  for (const std::int32_t each : {of.layers, of.kv_heads, of.vocabulary, of.piece_tokens}) put(out, each);
}

/// Takes values off the front; nothing once the bytes are too few.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : left_(bytes) {}

  template <class T>
  std::optional<T> take() {
    if (left_.size() < sizeof(T)) return std::nullopt;
    T out;
    std::memcpy(&out, left_.data(), sizeof(T));
    left_.remove_prefix(sizeof(T));
    return out;
  }
  std::optional<std::int32_t> take_count() {
    const auto out = take<std::int32_t>();
    if (!out || *out < 0 || *out > kCountMax) return std::nullopt;
    return out;
  }
  /// Nothing is allocated for a count that the bytes don't hold.
  template <class T>
  bool take_all(std::size_t count, std::vector<T>& to) {
    if (left_.size() / sizeof(T) < count) return false;
    to.resize(count);
    std::memcpy(to.data(), left_.data(), count * sizeof(T));
    left_.remove_prefix(count * sizeof(T));
    return true;
  }
  bool empty() const { return left_.empty(); }

 private:
  std::string_view left_;
};

base::Error corrupt(const char* what) {
  return {base::Code::kCorrupt, std::string("what was calibrated so far: ") + what};
}

bool is_score(float score) {
  constexpr float kRounded = 1.01F;  // a probability
  return score >= 0 && score <= kRounded;
}

}  // namespace

std::string to_bytes(const CalibrationState& state, const StateOf& of) {
  std::string out(kStateMagic);
  put(out, of);
  put(out, static_cast<std::int32_t>(state.pieces.size()));
  for (const Tokens& piece : state.pieces) {
    put(out, static_cast<std::int32_t>(piece.size()));
    for (const std::int32_t token : piece) put(out, token);
  }
  put(out, static_cast<std::int32_t>(state.scores.size()));
  for (std::size_t text = 0; text < state.scores.size(); ++text) {
    const kv_cache::ScoreBuffer& scores = state.scores[text];
    const int tokens = state.scored_tokens[text];
    put(out, static_cast<std::int32_t>(tokens));
    for (std::size_t first = 0; first < scores.values.size(); first += scores.stride) {
      for (std::size_t t = 0; t < static_cast<std::size_t>(tokens); ++t) put(out, scores.values[first + t]);
    }
  }
  return out;
}

base::Result<CalibrationState> read_state(std::string_view bytes, const StateOf& of) {
  std::string head(kStateMagic);
  put(head, of);
  if (!bytes.starts_with(head)) return corrupt("it isn't this model's");
  Bytes left(bytes.substr(head.size()));
  CalibrationState out;
  const auto pieces = left.take_count();
  if (!pieces) return corrupt("it is cut off");
  for (std::int32_t i = 0; i < *pieces; ++i) {
    const auto count = left.take_count();
    if (!count) return corrupt("a piece is cut off");
    Tokens& piece = out.pieces.emplace_back();
    if (!left.take_all(static_cast<std::size_t>(*count), piece)) return corrupt("a piece is cut off");
    const auto known = [&](std::int32_t token) { return token >= 0 && token < of.vocabulary; };
    if (!std::all_of(piece.begin(), piece.end(), known)) return corrupt("a token isn't the model's");
  }
  const auto texts = left.take_count();
  if (!texts) return corrupt("it is cut off");
  const auto tables = static_cast<std::size_t>(of.layers) * static_cast<std::size_t>(of.kv_heads);
  for (std::int32_t i = 0; i < *texts; ++i) {
    const auto count = left.take_count();
    if (!count) return corrupt("a text's scores are cut off");
    const auto tokens = static_cast<std::size_t>(*count);
    std::vector<float> values;
    kv_cache::ScoreBuffer scores{{}, kv_cache::ScoreBuffer::stride_for(*count)};
    for (std::size_t table = 0; table < tables; ++table) {
      if (!left.take_all(tokens, values)) return corrupt("a text's scores are cut off");
      if (!std::all_of(values.begin(), values.end(), is_score)) return corrupt("a score is none");
      scores.values.insert(scores.values.end(), values.begin(), values.end());
      scores.values.resize((table + 1) * scores.stride);
    }
    out.scores.push_back(std::move(scores));
    out.scored_tokens.push_back(*count);
  }
  if (!left.empty()) return corrupt("it goes on past its end");
  return out;
}

}  // namespace pmt::compression
