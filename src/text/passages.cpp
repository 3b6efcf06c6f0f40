#include "text/passages.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "text/sentences.h"

namespace pmt::text {
namespace {

constexpr std::size_t kLevels = 6;  // of Markdown's headings

/// A paragraph, a list, a table or a heading.
struct Block {
  std::size_t begin = 0, end = 0;
  std::size_t level = 0;  // of a heading, 1 the outermost; 0: none
  std::size_t size() const { return end - begin; }
};

std::size_t heading_level(std::string_view line) {
  const std::size_t marks = std::min(line.find_first_not_of('#'), line.size());
  return marks <= kLevels && marks < line.size() && line[marks] == ' ' ? marks : 0;
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\f\v") == std::string_view::npos;
}

std::string_view trimmed(std::string_view line) {
  const std::size_t last = line.find_last_not_of(" \t\r\f\v");
  return last == std::string_view::npos ? std::string_view() : line.substr(0, last + 1);
}

std::vector<Block> blocks_of(std::string_view text) {
  std::vector<Block> blocks;
  std::optional<Block> open;
  const auto close = [&] {
    if (open) blocks.push_back(*std::exchange(open, std::nullopt));
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (is_blank(line)) {
      close();
    } else if (const std::size_t level = heading_level(line); level > 0) {
      close();
      blocks.push_back({at, at + trimmed(line).size(), level});
    } else {
      if (!open) open = Block{at + line.find_first_not_of(" \t\r\f\v"), 0};
      open->end = at + trimmed(line).size();
    }
    at = end + 1;
  }
  close();
  return blocks;
}

/// Puts blocks together.
class Cutter {
 public:
  Cutter(std::string_view text, const PassageRule& rule) : text_(text), rule_(rule) {}

  void add(const Block& block) {
    if (block.level > 0) return add_heading(block);
    const bool full = open_ && !only_headings_ && open_->end - open_->begin >= rule_.bytes_enough;
    const bool over = open_ && block.end - open_->begin > rule_.bytes_max;
    if (full || over) close();
    only_headings_ = false;
    if (block.size() > rule_.bytes_max) return cut(block);
    extend(block);
  }
  std::vector<Passage> take() {
    close();
    return std::move(passages_);
  }

 private:
  void add_heading(const Block& block) {
    if (!only_headings_) close();
    above_.resize(block.level - 1);  // those of its level and below end here
    const std::size_t name = text_.find_first_not_of("# ", block.begin);
    extend(block);
    only_headings_ = true;
    const bool named = name < block.end;
    above_.push_back(named ? std::string(text_.substr(name, block.end - name)) : std::string());
  }

  void extend(const Block& block) {
    if (open_) {
      open_->end = block.end;
      return;
    }
    open_ = Passage{.begin = block.begin, .end = block.end, .headings = {}};
    for (const std::string& heading : above_) {
      if (!heading.empty()) open_->headings += heading + "\n";
    }
  }

  /// A paragraph that is too long: at sentences, in parts of like length.
  void cut(const Block& block) {
    const std::size_t parts = (block.size() + rule_.bytes_max - 1) / rule_.bytes_max;
    const std::size_t part = block.size() / parts;
    bool goes_on = false;
    for (const Range& sentence : sentences_of(text_.substr(block.begin, block.size()))) {
      const Block whole{block.begin + sentence.begin, block.begin + sentence.end};
      const bool over = open_ && whole.end - open_->begin > rule_.bytes_max;
      if (over || (open_ && open_->end - open_->begin >= part)) {
        close();
        goes_on = true;
      }
      extend(whole);
      open_->goes_on = goes_on;
    }
    close();
  }

  void close() {
    if (open_) passages_.push_back(*std::exchange(open_, std::nullopt));
    only_headings_ = false;
  }

  std::string_view text_;
  const PassageRule rule_;
  std::vector<Passage> passages_;
  std::optional<Passage> open_;
  bool only_headings_ = false;
  std::vector<std::string> above_;  // headings, by level; "" where one was left out
};

}  // namespace

std::vector<Passage> passages_of(std::string_view text, const PassageRule& rule) {
  Cutter cutter(text, rule);
  for (const Block& block : blocks_of(text)) cutter.add(block);
  return cutter.take();
}

}  // namespace pmt::text
