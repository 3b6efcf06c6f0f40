// The system calls that CPython may make while it runs a stranger's program: an allow-list; everything else
// fails with EPERM, which Python shows as PermissionError. Allowed are memory, threads (bounded by the
// address space), clocks, reading files and using descriptors that are open. Not allowed, among everything
// else: new processes, sockets, signals to others, namespaces, ptrace, io_uring, bpf, keys, mounts, memory
// files, raising limits. By libseccomp, so that it is right on every architecture that Debian has.
#pragma once

#include "base/result.h"
#include "sandbox/child.h"

namespace pmt::sandbox {

/// The compiled filter in an unlinked file, as bubblewrap's --seccomp reads it. Errors: kIo.
base::Result<Fd> seccomp_filter();

}  // namespace pmt::sandbox
