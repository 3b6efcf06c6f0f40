// Ctrl-C in a command that works for long: the command is told each time, and says itself what was kept. Where it has nothing
// to stop, the process ends as without this.
// Thread-safety: made before the threads of the work, so that they leave the signal to it. One at a time.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

namespace pmt::app {

class CtrlC {
 public:
  /// `on_pressed` runs on a thread of its own. It returns whether something is stopped; if not, the process ends.
  explicit CtrlC(std::function<bool()> on_pressed);
  ~CtrlC();
  CtrlC(const CtrlC&) = delete;
  CtrlC& operator=(const CtrlC&) = delete;

  bool pressed() const { return pressed_.load(); }

 private:
  void watch();

  const std::function<bool()> on_pressed_;
  std::atomic<bool> pressed_{false}, over_{false};
  std::thread watcher_;
};

}  // namespace pmt::app
