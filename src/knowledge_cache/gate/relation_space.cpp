#include "knowledge_cache/gate/relation_space.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "base/cholesky.h"
#include "base/file.h"
#include "base/hash.h"

namespace pmt::knowledge_cache {
namespace {

using Vector = std::vector<float>;

constexpr std::size_t kTemplates = 4;
constexpr std::size_t kWordings = 4;
constexpr std::size_t kForms = kTemplates + kWordings;  // a relation of the bank
constexpr float kShrinkage = 1;  // of the covariance towards its mean eigenvalue: 0.3 to 10 measure alike
constexpr float kGenericShare = 0.25F;
constexpr float kSameRelation = 0.72F;  // two names of one relation
constexpr double kFalseWording = 0.03;  // share of untaught questions that the calibration lets through
constexpr double kFalseNominal = 0.002;
constexpr std::uint32_t kFormat = 2;

float dot(const float* a, const float* b, std::size_t n) {
  float sums[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (std::size_t j = 0; j < 8; ++j) sums[j] += a[i + j] * b[i + j];
  }
  float sum = 0;
  for (; i < n; ++i) sum += a[i] * b[i];
  for (const float s : sums) sum += s;
  return sum;
}

/// What people ask, relation by relation: kForms texts each.
std::vector<std::string> bank_texts(const std::vector<Relation>& bank) {
  std::vector<std::string> texts;
  for (const Relation& relation : bank) {
    for (auto& form : template_forms(relation.name, kThing)) texts.push_back(std::move(form));
    for (std::size_t i = 0; i < kWordings; ++i)
      texts.push_back(filled(relation.wordings[i % relation.wordings.size()], kThing));
  }
  return texts;
}

struct Whitening {
  Vector mean, factor;

  /// Fits to the rows of these relations. rows: [relations * kForms, width].
  static Whitening fit(const Vector& rows, const std::vector<std::size_t>& relations, std::size_t width);
  Vector key(const float* embedding) const;
};

Whitening Whitening::fit(const Vector& rows, const std::vector<std::size_t>& relations, std::size_t width) {
  Whitening out;
  std::vector<double> mean(width, 0.0), covariance(width * width, 0.0);
  const auto count = static_cast<double>(relations.size() * kForms);
  std::vector<double> own(width), x(width);
  for (const std::size_t relation : relations) {
    const float* first = rows.data() + relation * kForms * width;
    std::fill(own.begin(), own.end(), 0.0);
    for (std::size_t f = 0; f < kForms; ++f) {
      for (std::size_t i = 0; i < width; ++i) own[i] += first[f * width + i];
    }
    for (std::size_t i = 0; i < width; ++i) {
      mean[i] += own[i] / count;
      own[i] /= kForms;
    }
    for (std::size_t f = 0; f < kForms; ++f) {
      for (std::size_t i = 0; i < width; ++i) x[i] = first[f * width + i] - own[i];
      for (std::size_t i = 0; i < width; ++i) {
        for (std::size_t j = 0; j <= i; ++j) covariance[i * width + j] += x[i] * x[j] / count;
      }
    }
  }
  double trace = 0;
  for (std::size_t i = 0; i < width; ++i) trace += covariance[i * width + i];
  for (std::size_t i = 0; i < width; ++i)
    covariance[i * width + i] += kShrinkage * trace / static_cast<double>(width) + 1e-12;
  // Whitening by it differs from the symmetric one by a rotation: cosines are the same.
  base::factor_cholesky(covariance.data(), width);
  out.mean.assign(mean.begin(), mean.end());
  out.factor.assign(covariance.begin(), covariance.end());
  return out;
}

Vector Whitening::key(const float* embedding) const {
  const std::size_t width = mean.size();
  Vector x(width);
  float norm = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const float* row = factor.data() + i * width;
    x[i] = (embedding[i] - mean[i] - dot(row, x.data(), i)) / row[i];
    norm += x[i] * x[i];
  }
  const float scale = norm > 0 ? 1 / std::sqrt(norm) : 0;
  for (float& value : x) value *= scale;
  return x;
}

float best_cosine(const Vector& key, const Vector* first, std::size_t count) {
  float best = -1;
  for (std::size_t i = 0; i < count; ++i) best = std::max(best, cosine(key, first[i]));
  return best;
}

std::vector<Vector> keys_of(const Whitening& whitening, const Vector& rows) {
  const std::size_t width = whitening.mean.size();
  std::vector<Vector> keys;
  for (std::size_t at = 0; at + width <= rows.size(); at += width) keys.push_back(whitening.key(&rows[at]));
  return keys;
}

/// Scores of questions that ask for something else than what is taught, over one half of the bank.
struct Negatives {
  std::vector<float> wording, nominal;
};

void score_half(const std::vector<std::size_t>& half, const std::vector<Vector>& keys,
                const std::vector<Vector>& generic, Negatives& out) {
  std::mt19937 rng(3);
  for (const std::size_t asked : half) {
    for (int round = 0; round < 12; ++round) {
      std::size_t taught[3];
      for (std::size_t& t : taught) {
        do t = half[rng() % half.size()];
        while (t == asked);
      }
      for (std::size_t f = 0; f < kForms; ++f) {
        const Vector& question = keys[asked * kForms + f];
        float best = -1;
        for (const std::size_t t : taught)
          best = std::max(best, best_cosine(question, &keys[t * kForms], kTemplates));
        best -= kGenericShare * best_cosine(question, generic.data(), generic.size());
        (f < kTemplates ? out.nominal : out.wording).push_back(best);
      }
    }
  }
}

float upper_quantile(std::vector<float> values, double share) {
  std::sort(values.begin(), values.end(), std::greater<>());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size()))];
}

Thresholds calibrate_thresholds(const Vector& rows, const Vector& generic_rows, std::size_t relations,
                                std::size_t width) {
  std::vector<std::size_t> order(relations);
  for (std::size_t i = 0; i < relations; ++i) order[i] = i;
  std::mt19937 rng(1);
  for (std::size_t i = relations; i > 1; --i) std::swap(order[i - 1], order[rng() % i]);
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(relations / 2);
  const std::vector<std::size_t> halves[2] = {{order.begin(), middle}, {middle, order.end()}};
  Negatives negatives;
  for (int seen = 0; seen < 2; ++seen) {
    const Whitening whitening = Whitening::fit(rows, halves[seen], width);
    score_half(halves[1 - seen], keys_of(whitening, rows), keys_of(whitening, generic_rows), negatives);
  }
  return {upper_quantile(std::move(negatives.wording), kFalseWording),
          upper_quantile(std::move(negatives.nominal), kFalseNominal)};
}

}  // namespace

float cosine(const Vector& a, const Vector& b) {
  return dot(a.data(), b.data(), std::min(a.size(), b.size()));
}

std::vector<std::string> template_forms(std::string_view relation, std::string_view thing) {
  const std::string begun = [&] {
    std::string text(thing);
    if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
    return text;
  }();
  return {fmt::format("What is the {} of {}?", relation, thing),
          fmt::format("Tell me the {} of {}.", relation, thing), fmt::format("{}: {}?", begun, relation),
          fmt::format("Do you know the {} of {}?", relation, thing)};
}

Vector RelationSpace::key(const float* embedding) const {
  return Whitening{mean_, factor_}.key(embedding);
}

float RelationSpace::generic(const Vector& key) const {
  return best_cosine(key, generic_.data(), generic_.size());
}

float RelationSpace::score(const Vector& question, const std::vector<Vector>& forms) const {
  return best_cosine(question, forms.data(), forms.size()) - kGenericShare * generic(question);
}

std::vector<Vector> RelationSpace::other_wordings(const std::vector<Vector>& forms) const {
  std::size_t best = 0;
  float similarity = -1;
  for (std::size_t r = 0; r * kForms < bank_.size(); ++r) {
    for (const Vector& form : forms) {
      const float found = best_cosine(form, &bank_[r * kForms], kForms);
      if (found > similarity) {
        similarity = found;
        best = r;
      }
    }
  }
  if (similarity < kSameRelation) return {};
  const auto first = bank_.begin() + static_cast<std::ptrdiff_t>(best * kForms);
  return {first, first + kForms};
}

/// Makes a space, writes it to a file and reads it from there.
class Calibrator {
 public:
  static base::Result<std::shared_ptr<RelationSpace>> make(const Embed& embed,
                                                           const RelationSpace::Options& options,
                                                           const std::vector<Relation>& bank, std::string id);
  static base::Status save(const RelationSpace& space, const std::string& path);
  static std::shared_ptr<RelationSpace> load(const std::string& path, const std::string& id);

 private:
  template <class File, class Space>
  static void each_part(File&& part, Space& space) {
    part(space.mean_);
    part(space.factor_);
    part(space.generic_);
    part(space.bank_);
  }
};

base::Result<std::shared_ptr<RelationSpace>> Calibrator::make(const Embed& embed,
                                                              const RelationSpace::Options& options,
                                                              const std::vector<Relation>& bank,
                                                              std::string id) {
  const auto texts = bank_texts(bank);
  std::vector<std::string> generic;
  for (const std::string& question : generic_questions()) generic.push_back(filled(question, kThing));
  constexpr std::size_t kAtOnce = 64;
  Vector rows;
  for (std::size_t at = 0; at < texts.size(); at += kAtOnce) {
    const auto first = texts.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last = texts.begin() + static_cast<std::ptrdiff_t>(std::min(texts.size(), at + kAtOnce));
    TRY_ASSIGN(const Vector part, embed({first, last}));
    rows.insert(rows.end(), part.begin(), part.end());
    if (options.on_progress) options.on_progress(static_cast<float>(at) / static_cast<float>(texts.size()));
  }
  TRY_ASSIGN(const Vector generic_rows, embed(generic));
  const std::size_t width = rows.size() / texts.size();
  auto space = std::make_shared<RelationSpace>();
  space->id_ = std::move(id);
  space->thresholds_ = calibrate_thresholds(rows, generic_rows, bank.size(), width);
  std::vector<std::size_t> all(bank.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  Whitening whitening = Whitening::fit(rows, all, width);
  space->bank_ = keys_of(whitening, rows);
  space->generic_ = keys_of(whitening, generic_rows);
  space->mean_ = std::move(whitening.mean);
  space->factor_ = std::move(whitening.factor);
  if (options.on_progress) options.on_progress(1);
  return space;
}

base::Status Calibrator::save(const RelationSpace& space, const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  std::string bytes = space.id_;
  bytes.append(reinterpret_cast<const char*>(&space.thresholds_), sizeof space.thresholds_);
  const auto put = [&bytes](const Vector& v) {
    const std::uint64_t n = v.size();
    bytes.append(reinterpret_cast<const char*>(&n), sizeof n);
    bytes.append(reinterpret_cast<const char*>(v.data()), n * sizeof(float));
  };
  const auto part = [&](const auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, Vector>) {
      put(value);
    } else {
      const std::uint64_t n = value.size();
      bytes.append(reinterpret_cast<const char*>(&n), sizeof n);
      for (const Vector& v : value) put(v);
    }
  };
  each_part(part, space);
  bytes += base::sha256(bytes).hex();
  return base::replace_file(path, bytes);
}

std::shared_ptr<RelationSpace> Calibrator::load(const std::string& path, const std::string& id) {
  const auto read = base::read_file(path);
  if (!read) return nullptr;
  const std::string& all = *read;
  constexpr std::size_t kSum = 64;
  if (all.size() < id.size() + sizeof(Thresholds) + kSum || all.compare(0, id.size(), id) != 0)
    return nullptr;
  const std::string bytes = all.substr(0, all.size() - kSum);
  if (base::sha256(bytes).hex() != all.substr(bytes.size())) return nullptr;
  auto space = std::make_shared<RelationSpace>();
  space->id_ = id;
  std::memcpy(&space->thresholds_, bytes.data() + id.size(), sizeof(Thresholds));
  std::size_t at = id.size() + sizeof(Thresholds);
  // The checksum is right, so the lengths are ours.
  const auto length = [&] {
    std::uint64_t n = 0;
    std::memcpy(&n, bytes.data() + at, sizeof n);
    at += sizeof n;
    return n;
  };
  const auto get = [&](Vector& v) {
    v.resize(length());
    std::memcpy(v.data(), bytes.data() + at, v.size() * sizeof(float));
    at += v.size() * sizeof(float);
  };
  const auto part = [&](auto& value) {
    if constexpr (std::is_same_v<std::decay_t<decltype(value)>, Vector>) {
      get(value);
    } else {
      value.resize(length());
      for (Vector& v : value) get(v);
    }
  };
  each_part(part, *space);
  return space;
}

base::Result<std::shared_ptr<const RelationSpace>> RelationSpace::load_or_calibrate(const Embed& embed,
                                                                                    const Options& options) {
  const auto bank = relation_bank(options.bank);
  std::string of =
      fmt::format("{} {} {} {} {}", kFormat, options.embedder, kShrinkage, kFalseWording, kFalseNominal);
  for (const std::string& text : bank_texts(bank)) of += text + '\n';
  for (const std::string& text : generic_questions()) of += text + '\n';
  const std::string id = base::sha256(of).hex();
  if (!options.path.empty()) {
    if (auto stored = Calibrator::load(options.path, id)) return std::shared_ptr<const RelationSpace>(stored);
  }
  TRY_ASSIGN(auto space, Calibrator::make(embed, options, bank, id));
  if (!options.path.empty()) {
    const base::Status saved = Calibrator::save(*space, options.path);
    if (!saved && options.on_warning) options.on_warning(saved.error().message);
  }
  return std::shared_ptr<const RelationSpace>(std::move(space));
}

}  // namespace pmt::knowledge_cache
