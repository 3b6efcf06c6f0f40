#include "telemetry/process_stats.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"

namespace pmt::telemetry {
namespace {

double seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
}

/// Since the machine booted, in seconds; /proc/self/stat's 22nd field, counted after the command in
/// parentheses, which may hold spaces.
double started_after_boot() {
  const std::string line = base::read_file("/proc/self/stat").value_or("");
  const std::size_t command_end = line.rfind(')');
  if (command_end == std::string::npos) return 0;
  std::size_t at = command_end;
  for (int field = 3; field <= 22 && at != std::string::npos; ++field) at = line.find(' ', at + 1);
  if (at == std::string::npos) return 0;
  return std::strtod(line.c_str() + at, nullptr) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

/// 0 if it can't be read.
double booted_unix_s() {
  std::ifstream file("/proc/stat");
  for (std::string word; file >> word;) {
    double value = 0;
    if (word == "btime" && file >> value) return value;
  }
  return 0;
}

std::uint64_t open_files() {
  std::error_code failed;
  std::filesystem::directory_iterator at("/proc/self/fd", failed);
  std::uint64_t count = 0;
  for (const std::filesystem::directory_iterator end; !failed && at != end; at.increment(failed)) ++count;
  return count == 0 ? 0 : count - 1;  // less the one that reads the folder
}

}  // namespace

ProcessStats process_stats() {
  ProcessStats stats;
  rusage used{};
  if (getrusage(RUSAGE_SELF, &used) == 0) {
    stats.cpu_seconds = seconds(used.ru_utime) + seconds(used.ru_stime);
  }
  static const double kBooted = booted_unix_s();
  static const double kStart = kBooted > 0 ? kBooted + started_after_boot() : 0;
  stats.start_unix_s = kStart;
  std::ifstream pages("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  if (pages >> size >> resident) {
    const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    stats.bytes_virtual = size * page;
    stats.bytes_resident = resident * page;
  }
  const struct mallinfo2 heap = mallinfo2();
  stats.bytes_allocated = heap.uordblks + heap.hblkhd;
  stats.bytes_allocator_free = heap.fordblks;
  stats.open_files = open_files();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) stats.open_files_max = limit.rlim_cur;
  return stats;
}

}  // namespace pmt::telemetry
