#include "knowledge_cache/gate/question_keys.h"

#include <algorithm>
#include <map>

namespace pmt::knowledge_cache {
namespace {

constexpr std::size_t kEmbeddedAtOnce = 64;

}  // namespace

void add_other_wordings(const RelationSpace& space, Phrasings& phrasings) {
  const auto more = space.other_wordings(phrasings.keys);
  phrasings.keys.insert(phrasings.keys.end(), more.begin(), more.end());
}

std::shared_ptr<const RelationSpace> QuestionKeys::space() const {
  const std::lock_guard lock(mutex_);
  return space_;
}

base::Result<std::shared_ptr<const RelationSpace>> QuestionKeys::ensure_space() {
  const std::lock_guard one_at_a_time(calibrating_);
  if (auto ready = space()) return ready;
  if (!has_embedder())
    return base::Error{base::Code::kUnavailable,
                       "there is no embedding model: permutation models pull all-minilm-l6-v2"};
  TRY_ASSIGN(auto made, RelationSpace::load_or_calibrate(embed_, calibration_));
  const std::lock_guard lock(mutex_);
  space_ = made;
  return made;
}

base::Result<std::vector<std::vector<float>>> QuestionKeys::of(const std::vector<std::string>& texts,
                                                               const Progress& progress) {
  const auto space = this->space();
  std::vector<std::vector<float>> keys;
  for (std::size_t at = 0; at < texts.size(); at += kEmbeddedAtOnce) {
    const auto first = texts.begin() + static_cast<std::ptrdiff_t>(at);
    const auto last =
        texts.begin() + static_cast<std::ptrdiff_t>(std::min(texts.size(), at + kEmbeddedAtOnce));
    TRY_ASSIGN(const auto rows, embed({first, last}));
    for (std::size_t i = 0; i + space->width() <= rows.size(); i += space->width())
      keys.push_back(space->key(&rows[i]));
    if (progress) progress(static_cast<std::size_t>(last - texts.begin()), texts.size());
  }
  if (keys.size() != texts.size()) return base::Error{base::Code::kInternal, "the embedder left out texts"};
  return keys;
}

base::Result<std::shared_ptr<const Domain>> QuestionKeys::rekeyed(std::shared_ptr<const Domain> domain) {
  const auto space = this->space();
  if (space->id() == domain->origin().space) return domain;
  Domain::Slots slots;
  std::map<const Phrasings*, std::shared_ptr<const Phrasings>> anew;
  for (const auto& slot : domain->slots()) {
    auto& phrasings = anew[slot->phrasings.get()];
    if (phrasings == nullptr) {
      Phrasings made{slot->phrasings->asked, {}};
      TRY_ASSIGN(made.keys, of(made.asked, {}));
      add_other_wordings(*space, made);
      phrasings = std::make_shared<const Phrasings>(std::move(made));
    }
    Slot again = *slot;
    again.phrasings = phrasings;
    slots.push_back(std::make_shared<const Slot>(std::move(again)));
  }
  Domain::Origin origin = domain->origin();
  origin.space = space->id();
  return std::make_shared<const Domain>(std::move(origin), std::move(slots), domain->documents());
}

}  // namespace pmt::knowledge_cache
