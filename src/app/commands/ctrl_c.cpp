#include "app/commands/ctrl_c.h"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace pmt::app {
namespace {

sigset_t only_sigint() {
  sigset_t out;
  sigemptyset(&out);
  sigaddset(&out, SIGINT);
  return out;
}

void mask_sigint(int how) {
  const sigset_t set = only_sigint();
  pthread_sigmask(how, &set, nullptr);
}

}  // namespace

CtrlC::CtrlC(std::function<bool()> on_pressed) : on_pressed_(std::move(on_pressed)) {
  mask_sigint(SIG_BLOCK);
  watcher_ = std::thread([this] { watch(); });
}

CtrlC::~CtrlC() {
  over_ = true;
  pthread_kill(watcher_.native_handle(), SIGINT);  // to that thread alone
  watcher_.join();
  mask_sigint(SIG_UNBLOCK);
}

void CtrlC::watch() {
  const sigset_t set = only_sigint();
  while (true) {
    int signal = 0;
    sigwait(&set, &signal);
    if (over_) return;
    pressed_ = true;
    if (on_pressed_()) continue;
    std::signal(SIGINT, SIG_DFL);
    mask_sigint(SIG_UNBLOCK);
    std::raise(SIGINT);
  }
}

}  // namespace pmt::app
