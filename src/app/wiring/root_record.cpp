#include "app/wiring/root_record.h"

#include <filesystem>
#include <span>
#include <string_view>
#include <system_error>

#include <nlohmann/json.hpp>

#include "app/wiring/shipped_trials.h"
#include "base/file.h"
#include "base/file_digest.h"
#include "base/json.h"
#include "engine/home.h"
#include "rlm/root_trial.h"

namespace pmt::app {

// In the generated file.
// NOLINTBEGIN(readability-identifier-naming)
extern const EmbeddedFile k_files[];
extern const std::size_t k_files_count;
// NOLINTEND(readability-identifier-naming)

namespace {

/// A trial of other questions says nothing about these.
constexpr std::int64_t kVersion = 2;

std::optional<rlm::RootTrial> read_trial(const nlohmann::json& record, const char* what) {
  const auto& trial = base::at(record, what);
  const auto asked = base::integer_at(trial, "asked"), right = base::integer_at(trial, "right");
  if (!asked || !right || *right < 0 || *right > *asked || *asked > rlm::kTrialQuestions) return std::nullopt;
  return rlm::RootTrial{.asked = static_cast<int>(*asked), .right = static_cast<int>(*right)};
}

nlohmann::ordered_json to_json(const rlm::RootTrial& trial) {
  return {{"asked", trial.asked}, {"right", trial.right}};
}

std::optional<rlm::RootTrials> read_record(std::string_view text, const std::string& fingerprint) {
  const auto record = base::parse_json(text);
  if (!record) return std::nullopt;
  if (base::integer_at(*record, "trial") != kVersion || base::text_at(*record, "fingerprint") != fingerprint)
    return std::nullopt;
  const auto programs = read_trial(*record, "programs"), queries = read_trial(*record, "queries");
  if (!programs || !queries) return std::nullopt;
  return rlm::RootTrials{.programs = *programs, .queries = *queries};
}

}  // namespace

std::string trial_path(const std::string& model_path) {
  return engine::calibration_path(model_path).replace_extension(".programs.json").string();
}

std::optional<rlm::RootTrials> known_trials(const std::string& model_path) {
  const std::string kept = trial_path(model_path);
  std::error_code none;
  const bool is_kept = std::filesystem::exists(kept, none);
  if (!is_kept && k_files_count == 0) return std::nullopt;
  const auto fingerprint = base::fingerprint_of_file(model_path);
  if (!fingerprint) return std::nullopt;
  if (is_kept) {
    const auto text = base::read_file(kept);
    if (const auto known = text ? read_record(*text, fingerprint->hex()) : std::nullopt) return known;
  }
  for (const EmbeddedFile& file : std::span(k_files, k_files_count)) {
    if (const auto known = read_record({file.bytes, file.size}, fingerprint->hex())) return known;
  }
  return std::nullopt;
}

base::Status save_trials(const rlm::RootTrials& trials, const std::string& model_name,
                         const std::string& model_path, const std::string& to) {
  TRY_ASSIGN(const auto fingerprint, base::fingerprint_of_file(model_path));
  const nlohmann::ordered_json record = {{"trial", kVersion},
                                         {"model", model_name},
                                         {"fingerprint", fingerprint.hex()},
                                         {"programs", to_json(trials.programs)},
                                         {"queries", to_json(trials.queries)}};
  std::error_code made;
  std::filesystem::create_directories(std::filesystem::path(to).parent_path(), made);
  return base::replace_file(to, record.dump(2) + "\n");
}

}  // namespace pmt::app
