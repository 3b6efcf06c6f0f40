#include "app/wiring/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <map>
#include <thread>

#include <fmt/format.h>

extern char** environ;

namespace pmt::app {

namespace {

constexpr std::chrono::milliseconds kTick(100);

volatile std::sig_atomic_t interrupted = 0;

/// Notes SIGINT and SIGQUIT for a scope instead of dying of them.
class NoteInterrupts {
 public:
  NoteInterrupts() {
    interrupted = 0;
    const auto note = [](int) { interrupted = 1; };
    interrupt_ = std::signal(SIGINT, note);
    quit_ = std::signal(SIGQUIT, note);
  }
  ~NoteInterrupts() {
    std::signal(SIGINT, interrupt_);
    std::signal(SIGQUIT, quit_);
  }
  NoteInterrupts(const NoteInterrupts&) = delete;
  NoteInterrupts& operator=(const NoteInterrupts&) = delete;

 private:
  void (*interrupt_)(int);
  void (*quit_)(int);
};

base::Result<pid_t> spawn(const std::vector<std::string>& argv) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = 0;
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, 2, 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGINT);
  sigaddset(&defaults, SIGQUIT);
  sigaddset(&defaults, SIGPIPE);
  sigaddset(&defaults, SIGXFSZ);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  const int error = posix_spawnp(&pid, arguments[0], &files, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  if (error == 0) return pid;
  return base::Error{base::Code::kIo, fmt::format("can't start {}: {}", argv[0], std::strerror(error))};
}

int exit_status(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// Children that run, by their place in the order given.
class Children {
 public:
  base::Status start(const std::vector<std::string>& argv, std::size_t place) {
    TRY_ASSIGN(const pid_t pid, spawn(argv));
    running_.emplace(pid, place);
    return {};
  }
  std::size_t running() const { return running_.size(); }

  /// Notes the statuses of those that have ended. Returns whether all of these ended well.
  bool collect(std::vector<int>& statuses) {
    bool well = true;
    std::erase_if(running_, [&](const auto& child) {
      int status = 0;
      const pid_t ended = waitpid(child.first, &status, WNOHANG);
      if (ended == 0 || (ended < 0 && errno == EINTR)) return false;
      statuses[child.second] = ended > 0 ? exit_status(status) : 128;
      if (statuses[child.second] != 0 && interrupted != 0) statuses[child.second] = kExitInterrupted;
      well = well && statuses[child.second] == 0;
      return true;
    });
    return well;
  }

 private:
  std::map<pid_t, std::size_t> running_;
};

}  // namespace

base::Result<int> run_process(const std::vector<std::string>& argv) {
  TRY_ASSIGN(const std::vector<int> statuses, run_processes({argv}, {}));
  return statuses[0];
}

base::Result<std::vector<int>> run_processes(const std::vector<std::vector<std::string>>& argvs,
                                             const RunSideBySide& options) {
  const NoteInterrupts guard;
  std::vector<int> statuses(argvs.size(), -1);
  Children children;
  base::Status started;
  std::size_t next = 0;
  for (bool well = true;;) {
    const auto room = [&] { return children.running() < static_cast<std::size_t>(options.at_once); };
    while (well && started && next < argvs.size() && room()) {
      started = children.start(argvs[next], next);
      ++next;
    }
    if (children.running() == 0) break;
    std::this_thread::sleep_for(kTick);
    well = children.collect(statuses) && well;
    if (options.on_tick) options.on_tick();
  }
  if (!started) return started.error();
  return statuses;
}

}  // namespace pmt::app
