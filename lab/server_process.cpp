#include "lab/server_process.h"

#include <csignal>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <regex>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/measure.h"

extern char** environ;

namespace pmt::lab {
namespace {

base::Result<pid_t> spawn(std::vector<std::string> args, int log_file) {
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, log_file, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, log_file, STDERR_FILENO);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0) {
    return base::Error{base::Code::kIo, fmt::format("can't run {}: {}", args[0], std::strerror(failed))};
  }
  return pid;
}

}  // namespace

base::Result<std::unique_ptr<ServerProcess>> ServerProcess::start(const std::string& binary,
                                                                  const std::vector<std::string>& args) {
  std::vector<std::string> argv = {binary, "serve", "--port", "0"};
  argv.insert(argv.end(), args.begin(), args.end());
  const int log_file = memfd_create("server-log", MFD_CLOEXEC);
  if (log_file < 0) return base::Error{base::Code::kIo, "memfd_create failed"};
  const auto pid = spawn(argv, log_file);
  if (!pid) {
    close(log_file);
    return pid.error();
  }
  std::unique_ptr<ServerProcess> server(new ServerProcess(*pid, log_file));
  TRY(server->wait_until_it_listens());
  return server;
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  close(log_file_);
}

std::string ServerProcess::log() const {
  std::string text(64 * 1024, '\0');
  const ssize_t length = pread(log_file_, text.data(), text.size(), 0);
  text.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  return text;
}

base::Status ServerProcess::wait_until_it_listens() {
  static const std::regex kListening("listening on (http://[0-9.:]+)");
  for (const Stopwatch waiting; waiting.seconds() < 60;) {
    std::smatch match;
    const std::string said = log();
    if (std::regex_search(said, match, kListening)) {
      url_ = match[1];
      return {};
    }
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = 0;
      return base::Error{base::Code::kUnavailable, fmt::format("the server ended: {}", said)};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return base::Error{base::Code::kUnavailable,
                     fmt::format("the server doesn't listen after a minute: {}", log())};
}

double ServerProcess::cpu_seconds() const {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid_, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

namespace {

bool is_file(const std::string& model) {
  return model.find('/') != std::string::npos || model.ends_with(".gguf");
}

}  // namespace

std::string served_name(const std::string& model) {
  return is_file(model) ? std::filesystem::path(model).stem().string() : model;
}

std::string model_table(const std::string& model) {
  return fmt::format("[[model]]\nname = \"{}\"\n{}", served_name(model),
                     is_file(model) ? fmt::format("path = \"{}\"\n", model) : "");
}

}  // namespace pmt::lab
