#include "sandbox/seccomp_filter.h"

#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>
#include <seccomp.h>

namespace pmt::sandbox {
namespace {

constexpr const char* kAllowed[] = {
    // bubblewrap's last steps and the start of the program
    "execve", "exit", "exit_group", "wait4", "waitid",
    // memory
    "brk", "mmap", "munmap", "mprotect", "mremap", "madvise", "membarrier",
    // threads of the process itself, and their locks (clone is restricted below)
    "futex", "set_robust_list", "set_tid_address", "rseq", "sched_yield", "sched_getaffinity", "arch_prctl",
    "gettid",
    // time and chance
    "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "getrandom",
    "setitimer", "getitimer", "alarm",
    // its own signal handlers
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "pause",
    // files, of which there are only Python's, read-only
    "openat", "open", "close", "read", "readv", "pread64", "write", "writev", "lseek", "fstat", "stat",
    "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "getdents64", "getcwd", "readlink",
    "readlinkat", "dup", "dup2", "dup3", "fcntl", "poll", "ppoll", "select", "pselect6", "epoll_create1",
    "epoll_ctl", "epoll_wait", "pipe", "pipe2", "eventfd2",
    // who and how much
    "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getresuid", "getresgid", "getgroups",
    "uname", "sysinfo", "getrusage", "times", "umask", "getpgrp", "getsid"};

struct Release {
  void operator()(void* filter) const { seccomp_release(filter); }
};

base::Error failed(const char* what, int error) {
  return {base::Code::kIo, fmt::format("seccomp filter: {}: {}", what, std::strerror(error))};
}

/// True for a kernel call's name that this architecture doesn't have (e.g. open on arm64).
bool absent(int call) {
  return call == __NR_SCMP_ERROR || call < 0;
}

int add_rules(scmp_filter_ctx filter) {
  for (const char* name : kAllowed) {
    const int call = seccomp_syscall_resolve_name(name);
    if (absent(call)) continue;
    if (const int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0); error != 0) return error;
  }
  // A thread, never a process. clone3 takes its flags by pointer, where no filter sees them: "not there"
  // makes the C library fall back to clone.
  const auto thread = static_cast<scmp_datum_t>(CLONE_THREAD);
  int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                               SCMP_A0(SCMP_CMP_MASKED_EQ, thread, thread));
  if (error == 0) error = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  // Limits may be asked for and lowered: without CAP_SYS_RESOURCE the kernel lets nobody raise the hard ones.
  if (error == 0)
    error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A0(SCMP_CMP_EQ, 0));
  // Only what asks whether a descriptor is a terminal.
  if (error == 0)
    error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, 0x5401));
  return error;
}

}  // namespace

base::Result<Fd> seccomp_filter() {
  const std::unique_ptr<void, Release> filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (!filter) return failed("init", ENOMEM);
  if (const int error = add_rules(filter.get()); error != 0) return failed("rule", -error);
  Fd file(memfd_create("seccomp", MFD_CLOEXEC));
  if (file.get() < 0) return failed("memfd", errno);
  if (const int error = seccomp_export_bpf(filter.get(), file.get()); error != 0)
    return failed("export", -error);
  lseek(file.get(), 0, SEEK_SET);
  return file;
}

}  // namespace pmt::sandbox
