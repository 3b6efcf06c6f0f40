// A choice whose keys and values are in our pages: what it has read of its tokens, and drafts past the last one.
// Thread-safety: the scheduler's thread only.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "compression/decoding_compression.h"
#include "inference/generation.h"
#include "inference/prompt_lookup.h"
#include "kv_cache/sequence_kv.h"

namespace pmt::inference {

class PagedGeneration : public Generation {
 public:
  /// `written`: nothing of it has been read.
  PagedGeneration(Generation written, kv_cache::SequenceKv sequence);

  /// Drafts that it can use now, at most: 0 where nothing is chosen, or what comes is laid down.
  int drafts_wanted(int drafts_max) const;
  /// While the answer is written: drafts up to `drafts_max` tokens past the last one, as far as they pay at
  /// these `costs`. pending() ends with them.
  void draft(int drafts_max, const StepCosts& costs);
  /// The same with tokens that somebody else drafted. Requires: at most drafts_wanted().
  void draft_as(std::vector<std::int32_t> drafted);
  void forget_drafts() { drafts_.clear(); }
  /// Of the drafts: draft_as() brought them.
  bool drafted_elsewhere() const { return elsewhere_; }
  int drafted() const { return static_cast<int>(drafts_.size()); }
  /// Row `row` of the last tokens' logits is the next to sample from: all drafts before it came true.
  bool came_true(int row) const;
  /// The step with the drafts is over: forgets those that didn't come true. Returns how many did.
  int settle_drafts();

  /// Tokens that the model hasn't read yet: the whole prompt at first, then one a step; all of them again
  /// after the pages were dropped.
  std::span<const std::int32_t> pending() const {
    return (drafts_.empty() ? tokens() : std::span<const std::int32_t>(with_drafts_))
        .subspan(static_cast<std::size_t>(sequence_.tokens()));
  }
  kv_cache::SequenceKv& sequence() { return sequence_; }
  const kv_cache::SequenceKv& sequence() const { return sequence_; }
  /// Of what is written, and of later turns.
  compression::DecodingCompression& decoding() { return decoding_; }
  const compression::DecodingCompression& decoding() const { return decoding_; }
  /// Gives its pages back: everything is to be read again.
  void drop_pages();
  /// Takes over another sequence of the same tokens (a fork of the first choice's prompt).
  void adopt(kv_cache::SequenceKv sequence);

 private:
  kv_cache::SequenceKv sequence_;
  compression::DecodingCompression decoding_;
  PromptLookup lookup_;
  std::vector<std::int32_t> drafts_;
  bool elsewhere_ = false;
  std::vector<std::int32_t> with_drafts_;  // the tokens as they were when the drafts were made, then those
};

}  // namespace pmt::inference
