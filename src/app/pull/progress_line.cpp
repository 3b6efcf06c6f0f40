#include "app/pull/progress_line.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "app/commands/report_error.h"
#include "app/commands/text_table.h"

namespace pmt::app {

ProgressLine::ProgressLine(Options options)
    : options_(std::move(options)), live_(isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() {
  if (live_ && shown_ >= 0) tell("\n");
}

bool ProgressLine::is_due() const {
  return std::chrono::steady_clock::now() >= next_;
}

void ProgressLine::show(std::uintmax_t bytes) {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + (live_ ? std::chrono::milliseconds(300) : std::chrono::milliseconds(2000));
  const auto there = static_cast<double>(bytes);
  const auto total = static_cast<double>(std::max<std::uintmax_t>(options_.total, 1));
  const int percent = static_cast<int>(std::min(99.0, 100 * there / total));
  if (!live_ && percent / 10 <= shown_ / 10) return;
  shown_ = percent;
  const std::chrono::duration<double> spent = now - start_;
  const double speed =
      std::max(0.0, there - static_cast<double>(options_.before)) / std::max(0.1, spent.count());
  tell("{}{}: {} of {}{}, {}/s{}", live_ ? "\r" : "", options_.name, human_bytes(there),
       options_.about ? "about " : "", human_bytes(total), human_bytes(speed), live_ ? "   " : "\n");
}

}  // namespace pmt::app
