#include "inference/paged_generation.h"

#include <algorithm>
#include <utility>

namespace pmt::inference {

PagedGeneration::PagedGeneration(Generation written, kv_cache::SequenceKv sequence)
    : Generation(std::move(written)), sequence_(std::move(sequence)) {}

void PagedGeneration::adopt(kv_cache::SequenceKv sequence) {
  sequence_ = std::move(sequence);
}

int PagedGeneration::drafts_wanted(int drafts_max) const {
  const bool decoding = generated() > 0 && static_cast<int>(tokens().size()) == sequence_.tokens() + 1;
  if (!options().speculate || !decoding || !chooses_freely()) return 0;
  // The last token needs no drafts after it.
  const int wanted = std::min(drafts_max, options().new_tokens_max - generated() - 1);
  return std::max(0, std::min(wanted, decoding_.span_tokens(sequence_, 1 + wanted) - 1));
}

void PagedGeneration::draft(int drafts_max, const StepCosts& costs) {
  draft_as(lookup_.propose(tokens(), drafts_wanted(drafts_max), costs));
  elsewhere_ = false;
}

void PagedGeneration::draft_as(std::vector<std::int32_t> drafted) {
  drafts_ = std::move(drafted);
  elsewhere_ = true;
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
  if (!elsewhere_) lookup_.observe(drafted(), accepted);
  drafts_.clear();
  return accepted;
}

}  // namespace pmt::inference
