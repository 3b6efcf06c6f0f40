// What is known of a model's trials as a writer of programs and queries (rlm/root_trial.h): a small JSON file beside its calibration, or
// one of data/programs, which come with the product. Both name the model's bytes by their fingerprint, so a record is never
// taken for another model's.
// Thread-safety: any thread. Cost: of a model, 33 MiB are read (30 ms from memory).
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "rlm/asker.h"

namespace pmt::app {

/// Unset: it wasn't measured. A record that can't be read counts as none.
std::optional<rlm::RootTrials> known_trials(const std::string& model_path);

/// Where save_trials() keeps it if nobody says otherwise.
std::string trial_path(const std::string& model_path);

/// Whole or not at all. Errors: kIo.
base::Status save_trials(const rlm::RootTrials& trials, const std::string& model_name,
                         const std::string& model_path, const std::string& to);

}  // namespace pmt::app
