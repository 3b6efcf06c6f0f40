#include "inference/paged_generation.h"

#include <algorithm>
#include <utility>

namespace pmt::inference {

PagedGeneration::PagedGeneration(Generation written, kv_cache::SequenceKv sequence)
    : Generation(std::move(written)), sequence_(std::move(sequence)) {}

void PagedGeneration::adopt(kv_cache::SequenceKv sequence) {
  sequence_ = std::move(sequence);
}

void PagedGeneration::draft(int drafts_max, const StepCosts& costs) {
  const bool decoding = generated() > 0 && static_cast<int>(tokens().size()) == sequence_.tokens() + 1;
  if (!options().speculate || !decoding || !chooses_freely()) return;
  const int room = options().new_tokens_max - generated() - 1;  // the last token needs no drafts after it
  drafts_ = lookup_.propose(tokens(), std::min(drafts_max, room), costs);
  if (drafts_.empty()) return;
  with_drafts_.assign(tokens().begin(), tokens().end());
  with_drafts_.insert(with_drafts_.end(), drafts_.begin(), drafts_.end());
}

bool PagedGeneration::came_true(int row) const {
  const std::size_t before = with_drafts_.size() - drafts_.size();
  return row == 0 || (row <= drafted() && tokens().size() == before + static_cast<std::size_t>(row) &&
                      tokens().back() == drafts_[static_cast<std::size_t>(row) - 1]);
}

void PagedGeneration::drop_pages() {
  drafts_.clear();
  sequence_.clear();
}

int PagedGeneration::settle_drafts() {
  if (drafts_.empty()) return 0;
  const std::size_t before = with_drafts_.size() - drafts_.size();
  // All chosen tokens but the last were drafts that had been read; the last one is what comes next.
  const int accepted = static_cast<int>(tokens().size() - before) - 1;
  sequence_.truncate(static_cast<int>(tokens().size()) - 1);
  lookup_.observe(drafted(), accepted);
  drafts_.clear();
  return accepted;
}

}  // namespace pmt::inference
