#include "lab/peer_process.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <sstream>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/http_client.h"

namespace pmt::lab {

double rss_mb_of(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind("VmRSS:", 0) == 0) return std::strtod(line.c_str() + 6, nullptr) / 1024;
  }
  return 0;
}

double cpu_seconds_of(pid_t pid) {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(stat, text);
  std::istringstream fields(text.substr(text.rfind(')') + 2));
  std::string skip;
  double user = 0, system = 0;
  for (int i = 0; i < 11; ++i) fields >> skip;
  fields >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

int free_port() {
  const int s = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = bind(s, generic, size) == 0 && getsockname(s, generic, &size) == 0;
  close(s);
  return bound ? ntohs(address.sin_port) : 0;
}

base::Result<std::unique_ptr<PeerProcess>> PeerProcess::start(const std::vector<std::string>& argv,
                                                              const std::string& url,
                                                              const std::string& ready, int seconds) {
  std::vector<std::string> words = argv;
  std::vector<char*> raw;
  for (auto& word : words) raw.push_back(word.data());
  raw.push_back(nullptr);
  const int log = memfd_create("peer-log", MFD_CLOEXEC);
  const pid_t pid = fork();
  if (pid == 0) {
    setpgid(0, 0);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv(raw[0], raw.data());
    _exit(127);
  }
  std::unique_ptr<PeerProcess> out(new PeerProcess(pid));
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  bool answers = false;
  while (!answers && std::chrono::steady_clock::now() < until && waitpid(pid, nullptr, WNOHANG) == 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    auto client = net::HttpClient::connect(url, 5);
    if (!client) continue;
    const auto answer = (*client)->request("GET", ready, {}, "");
    answers = answer && answer->status < 500;
  }
  std::string text(4000, '\0');
  const off_t end = lseek(log, 0, SEEK_END);
  const ssize_t n =
      pread(log, text.data(), text.size(), std::max<off_t>(0, end - static_cast<off_t>(text.size())));
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  close(log);
  if (answers) return out;
  return base::Error{base::Code::kUnavailable, fmt::format("{} did not come up:\n{}", argv[0], text)};
}

PeerProcess::~PeerProcess() {
  kill(-pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

double PeerProcess::cpu_seconds() const {
  return cpu_seconds_of(pid_);
}
double PeerProcess::rss_mb() const {
  return rss_mb_of(pid_);
}

}  // namespace pmt::lab
