// Threads that are started while one of these lives take no signals: those are for the program's own threads.
// Thread-safety: of the thread that makes it.
#pragma once

#include <csignal>
#include <initializer_list>

#include <pthread.h>

namespace pmt::embed {

class QuietThreads {
 public:
  QuietThreads() {
    sigset_t all;
    sigfillset(&all);
    // What a thread does to itself ends the process as it would anywhere.
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS})
      sigdelset(&all, fault);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~QuietThreads() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  QuietThreads(const QuietThreads&) = delete;
  QuietThreads& operator=(const QuietThreads&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace pmt::embed
