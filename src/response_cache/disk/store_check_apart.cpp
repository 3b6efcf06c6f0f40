#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "base/fd.h"
#include "response_cache/disk/store_check.h"

extern char** environ;

namespace pmt::response_cache {
namespace {

using Steady = std::chrono::steady_clock;

constexpr int kExitWhole = 0, kExitDamaged = 3, kExitUnreadable = 4;
constexpr std::size_t kReasonBytesMax = 1000;

int ms_until(Steady::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Steady::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

/// Nothing of ours goes along but the pipe: no socket that listens, no signal that is held back.
std::optional<pid_t> spawn(const std::vector<std::string>& argv, int output) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, output, 1);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addclosefrom_np(&files, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, arguments[0], &files, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error == 0 ? std::optional(pid) : std::nullopt;
}

/// Until the end of what it says, or the deadline.
std::string read_reason(int fd, Steady::time_point deadline) {
  std::string reason;
  std::array<char, 512> bytes{};
  while (true) {
    pollfd one{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = poll(&one, 1, ms_until(deadline));
    if (ready < 0 && errno == EINTR) continue;
    const ssize_t n = ready > 0 ? read(fd, bytes.data(), bytes.size()) : 0;
    if (n <= 0) return reason;
    reason.append(bytes.data(), static_cast<std::size_t>(n));
    if (reason.size() > kReasonBytesMax) return reason.substr(0, kReasonBytesMax);
  }
}

/// Its wait status; null if it had to be killed. A process that waits for a dead disk can't even be killed:
/// it is left alone.
std::optional<int> end_of(pid_t pid, Steady::time_point deadline) {
  constexpr std::chrono::milliseconds kStep(2), kForKilling(500);
  int status = 0;
  for (const auto until : {deadline, deadline + kForKilling}) {
    while (true) {
      const pid_t ended = waitpid(pid, &status, WNOHANG);
      if (ended == pid) return until == deadline ? std::optional(status) : std::nullopt;
      if (ended < 0 && errno != EINTR) return std::nullopt;
      if (Steady::now() >= until) break;
      std::this_thread::sleep_for(kStep);
    }
    kill(pid, SIGKILL);
  }
  return std::nullopt;
}

base::Error found_damaged(std::string what) {
  return {base::Code::kCorrupt, std::move(what)};
}

}  // namespace

base::Status check_store_apart(const std::string& file, const std::vector<std::string>& checker,
                               std::chrono::milliseconds patience) {
  int ends[2];
  if (checker.empty() || pipe2(ends, O_CLOEXEC) != 0) return check_store(file);
  const auto deadline = Steady::now() + patience;
  std::vector<std::string> argv = checker;
  argv.push_back(file);
  base::Fd ours(ends[0]), theirs(ends[1]);
  const auto pid = spawn(argv, theirs.get());
  theirs.reset();
  if (!pid) return check_store(file);
  std::string reason = read_reason(ours.get(), deadline);
  ours.reset();
  const auto status = end_of(*pid, deadline);
  if (!status) return found_damaged(fmt::format("looking at it took more than {} ms", patience.count()));
  if (WIFSIGNALED(*status))
    return found_damaged(fmt::format("looking at it ended by signal {} ({})", WTERMSIG(*status),
                                     strsignal(WTERMSIG(*status))));
  if (WEXITSTATUS(*status) == kExitWhole) return {};
  if (WEXITSTATUS(*status) == kExitDamaged) return found_damaged(std::move(reason));
  return check_store(file);  // the program said nothing of the file
}

int answer_store_check(const std::string& file) {
  const base::Status whole = check_store(file);
  if (whole) return kExitWhole;
  fmt::print("{}", whole.error().message);
  std::fflush(stdout);
  return whole.error().code == base::Code::kCorrupt ? kExitDamaged : kExitUnreadable;
}

}  // namespace pmt::response_cache
