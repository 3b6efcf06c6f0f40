#include "sandbox/launch.h"

#include <unistd.h>

#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "sandbox/seccomp_filter.h"
#include "sandbox/workers.h"

namespace pmt::sandbox {
namespace {

namespace fs = std::filesystem;

constexpr double kHelloTimeoutS = 20;

/// What the interpreter and its modules link to, beside the C library. A missing one only costs its module.
constexpr const char* kLibraries[] = {"libc.so.6",      "libm.so.6",     "libz.so.1",       "libexpat.so.1",
                                      "libcrypto.so.3", "libssl.so.3",   "libbz2.so.1.0",   "liblzma.so.5",
                                      "libmpdec.so.3",  "libuuid.so.1",  "libpthread.so.0", "libdl.so.2",
                                      "libutil.so.1",   "libgcc_s.so.1", "libffi.so.8"};
constexpr const char* kLibraryFolders[] = {"/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64",
                                           "/lib"};
constexpr const char* kLoaders[] = {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"};

base::Error lacks(std::string what) {
  return {base::Code::kUnavailable, std::move(what)};
}

/// The real interpreter behind the link: .../bin/python3.11.
base::Result<fs::path> interpreter(const SandboxOptions& options) {
  std::error_code error;
  const fs::path python = fs::canonical(options.python, error);
  if (error) return lacks(fmt::format("there is no {}: apt-get install python3", options.python));
  return python;
}

void append_limits(std::vector<std::string>& argv, const Limits& limits) {
  argv.push_back(std::to_string(limits.output_chars_max));
  argv.push_back(std::to_string(limits.memory_bytes));
  argv.push_back(fmt::format("{}", limits.block_s));
}

void expose(std::vector<std::string>& argv, const std::string& path) {
  argv.insert(argv.end(), {"--ro-bind", path, path});
}

void bind_python(std::vector<std::string>& argv, const fs::path& python) {
  expose(argv, python.string());
  expose(argv, (python.parent_path().parent_path() / "lib" / python.filename()).string());
  for (const char* loader : kLoaders) {
    if (fs::exists(loader)) expose(argv, loader);
  }
  for (const char* library : kLibraries) {
    for (const char* folder : kLibraryFolders) {
      const fs::path path = fs::path(folder) / library;
      if (!fs::exists(path)) continue;
      expose(argv, path.string());
      break;
    }
  }
}

}  // namespace

base::Result<Launcher> Launcher::bubblewrap(const SandboxOptions& options) {
  if (access(options.bubblewrap.c_str(), X_OK) != 0) {
    return lacks(fmt::format("there is no {}: apt-get install bubblewrap", options.bubblewrap));
  }
  TRY_ASSIGN(const fs::path python, interpreter(options));
  std::vector<std::string> argv = {options.bubblewrap,
                                   "--unshare-all",
                                   "--unshare-user",
                                   "--die-with-parent",
                                   "--new-session",
                                   "--clearenv",
                                   "--cap-drop",
                                   "ALL",
                                   "--uid",
                                   "65534",
                                   "--gid",
                                   "65534",
                                   "--hostname",
                                   "sandbox"};
  bind_python(argv, python);
  // -I -S: nothing of anybody's site-packages; -B: nothing is written; the whole program rides on the command
  // line.
  argv.insert(argv.end(), {"--remount-ro", "/", "--chdir", "/", "--seccomp", "4", python.string(), "-I", "-S",
                           "-B", "-c", kWorkerSource});
  append_limits(argv, options.limits);
  return Launcher(Kind::kBubblewrap, std::move(argv), options.limits);
}

base::Result<Launcher> Launcher::monty(const SandboxOptions& options) {
  if (options.monty_home.empty() || access((fs::path(options.monty_home) / "monty").c_str(), X_OK) != 0) {
    return lacks(fmt::format("pydantic-monty is not in {}: ./dev build fetches it",
                             options.monty_home.empty() ? "the configured place" : options.monty_home));
  }
  TRY_ASSIGN(const fs::path python, interpreter(options));
  std::vector<std::string> argv = {python.string(), "-I", "-S", "-B", "-c", kMontyWorkerSource};
  append_limits(argv, options.limits);
  argv.push_back(options.monty_home);
  return Launcher(Kind::kMonty, std::move(argv), options.limits);
}

base::Result<Interpreter> Launcher::start() const {
  Fd filter;
  if (kind_ == Kind::kBubblewrap) {
    TRY_ASSIGN(filter, seccomp_filter());
  }
  TRY_ASSIGN(Child child, Child::start(argv_, filter));
  auto channel = std::make_unique<Channel>(child.socket(), limits_.frame_bytes_max);
  const auto hello = channel->receive(in_seconds(kHelloTimeoutS));
  if (!hello || hello->value("op", nlohmann::json()) != "hello") {
    const std::string complaints = child.complaints();
    const std::string how = child.end(100);
    return lacks(fmt::format("{} does not start here ({}): {}", to_string(kind_), how,
                             complaints.empty() ? "it said nothing" : complaints));
  }
  child.close_stderr();
  return Interpreter{.child = std::move(child), .channel = std::move(channel)};
}

}  // namespace pmt::sandbox
