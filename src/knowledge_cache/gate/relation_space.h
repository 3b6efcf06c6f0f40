// The space in which two questions about different things are near when they ask for the same (note 0013).
//
// A question with its thing replaced by "this thing" is embedded (a sentence embedder, llm::Embedder) and
// whitened by the covariance that the relations of a bank have within themselves (LDA), so that wording
// counts little and what is asked for counts much. Thresholds are calibrated on halves of the bank that the
// whitening didn't see, once per embedder, and kept in a file.
//
// Shapes: W and the mean are [width, width] and [width]; a key is a unit vector [width]. Thread-safety:
// immutable once made. Cost: calibration embeds the bank (about 1,700 short texts: seconds); a key is one
// triangular solve, width^2 / 2 multiply-adds (0.05 ms). Source: note 0013.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "knowledge_cache/gate/relation_bank.h"

namespace pmt::knowledge_cache {

/// Texts to unit vectors, [texts, width] row-major. May block. Thread-safety: any thread.
using Embed = std::function<base::Result<std::vector<float>>(const std::vector<std::string>& texts)>;

inline constexpr std::string_view kThing = "this thing";

struct Thresholds {
  float wording = 0;  // a question in its own words must score above this
  float nominal = 0;  // one that names the relation ("the R of X"), whose names are all alike, above this
};

class RelationSpace {
 public:
  struct Options {
    std::string embedder;  // its name: a space belongs to one embedder
    std::string path;      // where the calibration is kept; empty: nowhere
    BankOptions bank = {};
    std::function<void(float)> on_progress = {};
    std::function<void(const std::string&)> on_warning = {};
  };
  /// The stored space, or a new one that is then stored (a path that can't be written is only reported).
  static base::Result<std::shared_ptr<const RelationSpace>> load_or_calibrate(const Embed& embed,
                                                                              const Options& options);

  /// Tells calibrations apart: keys of another one can't be compared.
  const std::string& id() const { return id_; }
  std::size_t width() const { return mean_.size(); }
  const Thresholds& thresholds() const { return thresholds_; }

  /// `embedding`: [width], as the embedder gives it.
  std::vector<float> key(const float* embedding) const;
  /// How near the key is to a question that asks for nothing in particular.
  float generic(const std::vector<float>& key) const;
  /// Best cosine of the question to the taught forms, less a share of generic().
  float score(const std::vector<float>& question, const std::vector<std::vector<float>>& forms) const;
  /// Other wordings (keys) of the bank's relation that these forms name, if there is one: what a person would
  /// also say.
  std::vector<std::vector<float>> other_wordings(const std::vector<std::vector<float>>& forms) const;

 private:
  friend class Calibrator;
  std::string id_;
  std::vector<float> mean_;
  std::vector<float> factor_;  // Cholesky factor of the within-relation covariance, row-major, lower
  Thresholds thresholds_;
  std::vector<std::vector<float>> generic_;  // keys
  std::vector<std::vector<float>> bank_;     // keys, kForms a relation
};

float cosine(const std::vector<float>& a, const std::vector<float>& b);

/// The phrasings that a relation's name gives: "What is the R of X?", "Tell me the R of X.", ...
std::vector<std::string> template_forms(std::string_view relation, std::string_view thing);

}  // namespace pmt::knowledge_cache
