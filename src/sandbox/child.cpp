#include "sandbox/child.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <utility>

#include <fmt/format.h>

namespace pmt::sandbox {

namespace {

constexpr std::size_t kComplaintsBytesMax = 2'000;

base::Error io_error(const std::string& what, int error) {
  return {base::Code::kIo, fmt::format("{}: {}", what, std::strerror(error))};
}

/// Above what the child's own descriptors will be, so that moving one into place never overwrites another.
Fd out_of_the_way(int fd) {
  return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 16));
}

struct Ends {
  Fd ours, theirs;
};

base::Result<Ends> socket_pair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return io_error("socketpair", errno);
  Ends pair{Fd(ends[0]), Fd(ends[1])};
  fcntl(pair.ours.get(), F_SETFL, O_NONBLOCK);
  pair.theirs = out_of_the_way(pair.theirs.get());
  return pair;
}

base::Result<Ends> stderr_pipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return io_error("pipe", errno);
  Ends pair{Fd(ends[0]), Fd(ends[1])};
  pair.theirs = out_of_the_way(pair.theirs.get());
  return pair;
}

int spawn(pid_t& pid, const std::vector<std::string>& argv, int socket, int complaints, int extra) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  char* environment[] = {nullptr};

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&files, 0, 1);
  posix_spawn_file_actions_adddup2(&files, complaints, 2);
  posix_spawn_file_actions_adddup2(&files, socket, 3);
  if (extra >= 0) posix_spawn_file_actions_adddup2(&files, extra, 4);
  // Not every library marks its descriptors: a listening socket that leaked in would be a way out.
  posix_spawn_file_actions_addclosefrom_np(&files, extra >= 0 ? 5 : 4);

  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);  // a Ctrl-C at our terminal is ours
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const int error = posix_spawn(&pid, arguments[0], &files, &attributes, arguments.data(), environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

}  // namespace

base::Result<Child> Child::start(const std::vector<std::string>& argv, const Fd& extra) {
  TRY_ASSIGN(Ends sockets, socket_pair());
  TRY_ASSIGN(Ends complaints, stderr_pipe());
  const Fd moved = extra.get() >= 0 ? out_of_the_way(extra.get()) : Fd();
  Child child;
  const int error = spawn(child.pid_, argv, sockets.theirs.get(), complaints.theirs.get(), moved.get());
  if (error != 0) {
    child.pid_ = -1;
    return io_error("can't start " + argv[0], error);
  }
  child.socket_ = std::move(sockets.ours);
  child.stderr_ = std::move(complaints.ours);
  return child;
}

Child::~Child() {
  end();
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      socket_(std::move(other.socket_)),
      stderr_(std::move(other.stderr_)) {}

Child& Child::operator=(Child&& other) noexcept {
  end();
  pid_ = std::exchange(other.pid_, -1);
  socket_ = std::move(other.socket_);
  stderr_ = std::move(other.stderr_);
  return *this;
}

std::string Child::complaints() const {
  std::string text(kComplaintsBytesMax, '\0');
  const ssize_t n = stderr_.get() >= 0 ? ::read(stderr_.get(), text.data(), text.size()) : 0;
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text;
}

void Child::pause(bool paused) {
  if (pid_ < 0) return;
  // What bubblewrap starts has a process group of its own. It can't start more, so the list is whole.
  std::vector<pid_t> all = {pid_};
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", all[i]));
    for (pid_t child = 0; children >> child;) all.push_back(child);
  }
  for (const pid_t pid : all) kill(pid, paused ? SIGSTOP : SIGCONT);
}

std::string Child::end(int patience_ms) {
  if (pid_ < 0) return "it was not running";
  int status = 0;
  pid_t reaped = waitpid(pid_, &status, WNOHANG);
  for (int waited_ms = 0; reaped == 0 && waited_ms < patience_ms; ++waited_ms) {
    usleep(1000);
    reaped = waitpid(pid_, &status, WNOHANG);
  }
  kill(-pid_, SIGKILL);
  if (reaped == 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, &status, 0);
  }
  pid_ = -1;
  socket_.reset();
  stderr_.reset();
  if (WIFEXITED(status)) {
    const int code = WEXITSTATUS(status);
    if (code > 128) return fmt::format("signal {} ({})", code - 128, strsignal(code - 128));
    return fmt::format("exit status {}", code);
  }
  return fmt::format("signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
}

}  // namespace pmt::sandbox
