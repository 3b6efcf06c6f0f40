// What the kernel and the allocator say of this process.
// Source: proc(5), getrusage(2), mallinfo(3).
#pragma once

#include <cstdint>

namespace pmt::telemetry {

struct ProcessStats {
  double cpu_seconds = 0;  ///< of all threads, in user and in kernel mode
  double start_unix_s = 0;
  std::uint64_t bytes_resident = 0;
  std::uint64_t bytes_virtual = 0;
  std::uint64_t bytes_allocated = 0;       ///< handed out by malloc and not yet freed
  std::uint64_t bytes_allocator_free = 0;  ///< freed, and kept by malloc for later
  std::uint64_t open_files = 0;
  std::uint64_t open_files_max = 0;
};

/// 0 stands for what can't be read. Thread-safety: any thread; malloc's arenas are locked one after another.
/// Cost: measured 30 us, and 1.3 us for each open file.
ProcessStats process_stats();

}  // namespace pmt::telemetry
