// How much memory this process may still take. Thread-safety: any thread.
// Source: proc(5), the kernel's cgroup-v2 document.
#pragma once

#include <cstdint>
#include <string>

namespace pmt::base {

/// Where the kernel says it; another place for tests.
struct MemoryFiles {
  std::string meminfo = "/proc/meminfo";
  std::string cgroup_of_self = "/proc/self/cgroup";
  std::string cgroups = "/sys/fs/cgroup";
};

/// The machine's free and reclaimable bytes, or less where a control group of ours or above it leaves less.
/// Negative where nothing can be read: then nobody knows. Cost: some small files.
std::int64_t memory_available(const MemoryFiles& files = {});

}  // namespace pmt::base
