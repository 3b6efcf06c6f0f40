#include "lab/loopback_upstream.h"

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "net/http_server.h"

namespace pmt::lab {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kAnswer =
    R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"fixed","choices":[{"index":0,"message":{"role":"assistant","content":"Paris is the capital of France. It lies on the Seine, and has been the capital for most of a thousand years."},"finish_reason":"stop"}],"usage":{"prompt_tokens":14,"completion_tokens":24,"total_tokens":38}})";

std::string piece(const char* text) {
  return fmt::format(
      "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"fixed\","
      "\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",\"content\":\"{}\"}},\"finish_reason\":"
      "null}}]}}\n\n",
      text);
}

std::string text_piece(const char* text) {
  return fmt::format(
      "data: {{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"fixed\","
      "\"choices\":[{{\"index\":0,\"text\":\"{}\",\"finish_reason\":null}}]}}\n\n",
      text);
}

std::string text_ending() {
  return "data: "
         "{\"id\":\"cmpl-1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"fixed\",\"choices\":[{\"index\":0,"
         "\"text\":\"\",\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":14,\"completion_tokens\":24,"
         "\"total_tokens\":38}}\n\n"
         "data: [DONE]\n\n";
}

std::string ending() {
  return "data: "
         "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"fixed\","
         "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
         "data: "
         "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"fixed\","
         "\"choices\":[],\"usage\":{\"prompt_tokens\":14,\"completion_tokens\":24,\"total_tokens\":38}}\n\n"
         "data: [DONE]\n\n";
}

/// Ends streams when their time has come.
class Later {
 public:
  Later() : thread_([this] { run(); }) { thread_.detach(); }
  void finish(std::shared_ptr<net::Responder> responder, double seconds) {
    const std::lock_guard lock(mutex_);
    waiting_.emplace(Clock::now() + std::chrono::milliseconds(static_cast<int>(seconds * 1000)),
                     std::move(responder));
  }

 private:
  [[noreturn]] void run() {
    while (true) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      const std::lock_guard lock(mutex_);
      while (!waiting_.empty() && waiting_.begin()->first <= Clock::now()) {
        waiting_.begin()->second->write(ending());
        waiting_.begin()->second->finish_stream();
        waiting_.erase(waiting_.begin());
      }
    }
  }
  std::mutex mutex_;
  std::multimap<Clock::time_point, std::shared_ptr<net::Responder>> waiting_;
  std::thread thread_;
};

[[noreturn]] void serve(int tell) {
  static Later later;
  net::ServerOptions options;
  options.port = 0;
  options.connections_max = 8192;
  const auto server = net::HttpServer::start(
      options, [](const net::HttpRequest& request, const std::shared_ptr<net::Responder>& responder) {
        if (request.body.find("\"stream\":true") == std::string::npos)
          return responder->send({200, {{"content-type", "application/json"}}, kAnswer});
        const bool chat = request.path.find("/chat/") != std::string::npos;
        const auto said = chat ? piece : text_piece;
        responder->start_stream({200, {{"content-type", "text/event-stream"}}, said("Paris is ")});
        if (request.body.find("\"idle\"") != std::string::npos) {
          const auto body = nlohmann::json::parse(request.body);
          return later.finish(responder, body.value("max_tokens", 1));
        }
        for (int i = 0; i < 8; ++i) responder->write(said("the capital "));
        responder->write(chat ? ending() : text_ending());
        responder->finish_stream();
      });
  const int port = server ? (*server)->port() : 0;
  if (write(tell, &port, sizeof port) != sizeof port || port == 0) _exit(1);
  while (true) pause();
}

}  // namespace

LoopbackUpstream::LoopbackUpstream() {
  int ends[2];
  if (pipe(ends) != 0) std::exit(1);
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(ends[0]);
    serve(ends[1]);
  }
  close(ends[1]);
  int port = 0;
  if (read(ends[0], &port, sizeof port) != sizeof port || port == 0) {
    std::fputs("the loopback upstream did not start\n", stderr);
    std::exit(1);
  }
  close(ends[0]);
  url_ = fmt::format("http://127.0.0.1:{}", port);
}

LoopbackUpstream::~LoopbackUpstream() {
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

}  // namespace pmt::lab
