// Which bytes of a context models were shown: a program cuts its prompts as it likes, so they are found again in the
// context. Whatever stands word for word in both, kShownBytesMin bytes or more, counts; of a text that stands in
// several places the one is told around which most is alike.
//
// Thread-safety: any thread may call anything. Cost: an index of the context's blocks at the first add(), 40 ns a block
// of 32 bytes and 16 bytes of memory; then a few ns a byte of a prompt.
#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace pmt::rlm {

class ReadRanges {
 public:
  static constexpr std::size_t kShownBytesMin = 48;
  /// A larger context isn't indexed, and nothing is told.
  static constexpr std::size_t kContextBytesMax = 32U << 20;

  /// `context`: a string or an array of strings; it outlives this.
  explicit ReadRanges(const nlohmann::json& context);

  void add(std::string_view shown);

  /// {"bytes": how many of the context, "ranges": [{"begin", "end"}]}, of several parts with "part" each; in order, those
  /// that touch are one, at most kRangesMax. Null: the context was too large.
  nlohmann::json told();

 private:
  static constexpr std::size_t kRangesMax = 1000;

  struct Block {
    std::uint64_t hash;
    std::uint32_t part, index;
    friend bool operator<(const Block& a, const Block& b) {
      return std::pair(a.hash, std::pair(a.part, a.index)) < std::pair(b.hash, std::pair(b.part, b.index));
    }
  };
  struct Range {
    std::uint32_t part;
    std::size_t begin, end;
    friend bool operator<(const Range& a, const Range& b) {
      return std::pair(a.part, a.begin) < std::pair(b.part, b.begin);
    }
  };

  void index();
  /// What stands at `there` in a part and at `here` in what was shown.
  struct Stretch {
    std::uint32_t part = 0;
    std::size_t there = 0, here = 0, bytes = 0;
  };
  void look_at(std::string_view shown, std::size_t at, std::uint64_t hash, Stretch& best) const;
  void grow(std::string_view shown, Stretch& one, std::size_t bytes_max) const;
  void join();

  std::vector<std::string_view> parts_;
  const bool whole_;  // one text
  bool too_large_ = false;
  std::mutex mutex_;
  bool indexed_ = false;
  std::vector<Block> blocks_;
  std::vector<Range> ranges_;
};

}  // namespace pmt::rlm
