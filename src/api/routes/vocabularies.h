// The tokens of a served model, wherever they are.
#pragma once

#include <memory>

#include "api/api.h"
#include "base/result.h"

namespace pmt::api {

using LentVocabulary = std::shared_ptr<const llm::Vocabulary>;

/// The field of the error that says: the model isn't loaded, and nobody was to wait for it.
inline constexpr char kNotLoaded[] = "not loaded";

/// Null: another server's, or an engine's. Errors: kUnavailable under kNotLoaded unless `waits`; as the
/// model's loading.
inline base::Result<LentVocabulary> vocabulary_of(const ServedModel& model, bool waits) {
  if (!model.lend_vocabulary) return LentVocabulary(LentVocabulary(), model.vocabulary);
  TRY_ASSIGN(LentVocabulary lent, model.lend_vocabulary(waits));
  if (lent == nullptr) return base::Error{base::Code::kUnavailable, "The model is being loaded.", kNotLoaded};
  return lent;
}

/// Whether it has one of its own.
inline bool has_vocabulary(const ServedModel& model) {
  return model.vocabulary != nullptr || model.lend_vocabulary;
}

}  // namespace pmt::api
