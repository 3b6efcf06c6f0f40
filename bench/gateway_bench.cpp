// ./dev bench gateway: what the gateway costs, at a fixed rate with latencies from when each request was due
// (load_generator.h). The upstream is a real HTTP server on loopback in a process of its own; the gateway is
// the real `permutation serve` with no local model. "Added" is the difference between the same percentile
// through the gateway and straight to the upstream, in the same run.
//
// With --peers PYTHON (./dev makes that environment): LiteLLM's proxy and GPTCache's server do the same work
// at a rate that they can keep, beside ours at that rate.
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lab/load_generator.h"
#include "lab/loopback_upstream.h"
#include "lab/measure.h"
#include "lab/peer_process.h"
#include "net/http_client.h"

namespace pmt::bench {
using namespace lab;
namespace {

using Row = nlohmann::ordered_json;

/// A chat request; past every cache unless `cached`.
std::string chat(const std::string& model, bool stream, bool cached, const std::string& question,
                 int max_tokens = 64) {
  return post_of(
      "/v1/chat/completions",
      fmt::format(
          R"({{"model":"{}","messages":[{{"role":"user","content":"{}"}}],"temperature":{},"max_tokens":{}{}}})",
          model, question, cached ? 0 : 1, max_tokens, stream ? R"(,"stream":true)" : ""));
}

struct Measured {
  Load load;
  double cpu_us = 0;  // of the server, a request; 0 if it isn't ours to read
};

class Bench {
 public:
  Bench(Result& result, double seconds) : result_(result), seconds_(seconds) {}

  Measured run(const std::string& what, const std::string& who, LoadOptions options,
               const PeerProcess* server) {
    progress(what + ", " + who);
    options.seconds = seconds_;
    LoadOptions warm = options;
    warm.seconds = 0.5;
    warm.rate = std::min(options.rate, 500.0);
    (void)need(run_load(warm));
    const double before = server != nullptr ? server->cpu_seconds() : 0;
    Measured out{.load = need(run_load(options))};
    if (server != nullptr) out.cpu_us = (server->cpu_seconds() - before) * 1e6 / out.load.sent;
    if (out.load.wrong > 0)
      fail(fmt::format("{}, {}: {} of {} answers were wrong, the first: {}", what, who, out.load.wrong,
                       out.load.sent, out.load.first_wrong));
    const auto& first = out.load.first_byte_us;
    Row row = {{"what", what},
               {"who", who},
               {"per_s", options.rate},
               {"kept_per_s", out.load.sent / out.load.seconds},
               {"p50_us", percentile(out.load.latency_us, 0.5)},
               {"p99_us", percentile(out.load.latency_us, 0.99)},
               {"first_p50_us", percentile(first, 0.5)},
               {"first_p99_us", percentile(first, 0.99)},
               {"cpu_us", server != nullptr ? Row(out.cpu_us) : Row()},
               {"rss_mb", server != nullptr ? Row(server->rss_mb()) : Row()}};
    result_.rows.push_back(std::move(row));
    return out;
  }
  void target(const std::string& what, const std::string& asked, double measured, bool holds) {
    result_.targets.push_back({what, asked, measured, holds});
  }

 private:
  Result& result_;
  const double seconds_;
};

std::string write_file(const std::filesystem::path& folder, const char* name, const std::string& text) {
  const auto path = folder / name;
  std::ofstream(path) << text;
  return path.string();
}

struct Setup {
  std::string binary;
  std::filesystem::path folder;
  std::string upstream;
};

struct Gateway {
  std::unique_ptr<PeerProcess> process;
  std::string url;
};

Gateway start_gateway(const Setup& setup) {
  Gateway out;
  const int port = free_port();
  out.url = fmt::format("http://127.0.0.1:{}", port);
  const std::string config =
      write_file(setup.folder, "gateway.toml",
                 fmt::format("[server]\nport = {}\nconnections_max = 8192\n\n[[upstream]]\nname = \"up\"\n"
                             "base_url = \"{}/v1\"\nmodels = [\"fixed\", \"idle\"]\nconcurrent_max = 4096\n",
                             port, setup.upstream));
  out.process = need(PeerProcess::start({setup.binary, "serve", "--config", config}, out.url, "/health", 60));
  return out;
}

void pass_through(Bench& bench, const Setup& setup, const Gateway& gateway) {
  const auto whole = [&](const std::string& url, const char* model, const char* who,
                         const PeerProcess* process) {
    return bench.run("pass-through", who,
                     {.url = url,
                      .request = [r = chat(model, false, false, "Where is Paris?")](int) { return r; },
                      .rate = 5000,
                      .must_contain = "Seine"},
                     process);
  };
  const auto direct = whole(setup.upstream, "fixed", "no gateway", nullptr);
  const auto through = whole(gateway.url, "up/fixed", "permutation", gateway.process.get());
  const double added = percentile(through.load.latency_us, 0.99) - percentile(direct.load.latency_us, 0.99);
  bench.target("pass-through adds at p99, us, 5K requests/s", "<= 150", added, added <= 150);

  const auto stream = [&](const std::string& url, const char* model, const char* who,
                          const PeerProcess* process) {
    return bench.run("pass-through, streamed", who,
                     {.url = url,
                      .request = [r = chat(model, true, false, "Where is Paris?")](int) { return r; },
                      .rate = 1000,
                      .must_contain = "[DONE]"},
                     process);
  };
  const auto direct_stream = stream(setup.upstream, "fixed", "no gateway", nullptr);
  const auto through_stream = stream(gateway.url, "up/fixed", "permutation", gateway.process.get());
  const double first =
      percentile(through_stream.load.first_byte_us, 0.5) - percentile(direct_stream.load.first_byte_us, 0.5);
  bench.target("first streamed byte adds at the median, us", "<= 150", first, first <= 150);
}

/// 2,000 streams that say one word and then wait, while others are answered.
void idle_streams(Bench& bench, const Gateway& gateway) {
  const int pid = static_cast<int>(fork());
  constexpr int kStreams = 2000, kIdleSeconds = 8;
  if (pid == 0) {
    const auto held =
        run_load({.url = gateway.url,
                  .request = [r = chat("up/idle", true, false, "Wait.", kIdleSeconds)](int) { return r; },
                  .rate = 2000,
                  .seconds = 1,
                  .connections = kStreams,
                  .must_contain = "[DONE]"});
    _exit(held && held->wrong == 0 && held->sent == kStreams ? 0 : 1);
  }
  usleep(2'000'000);
  const auto busy =
      bench.run("hit beside 2,000 idle streams", "permutation",
                {.url = gateway.url,
                 .request = [r = chat("up/fixed", false, true, "Where is Paris?")](int) { return r; },
                 .rate = 1000,
                 .must_contain = "x-permutation-cache: hit"},
                gateway.process.get());
  int status = 1;
  waitpid(pid, &status, 0);
  const bool whole = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  bench.target("2,000 idle streams end whole", "2000", whole ? kStreams : 0, whole);
  const double worst = busy.load.latency_us.back();
  bench.target("slowest of the hits beside them, us", "<= 100000 (no stall)", worst, worst <= 100'000);
}

/// GPTCache's own server (gptcache_server) does not start beside today's openai package, which LiteLLM needs:
/// it imports what that no longer has. These are its two routes over the library's own calls.
constexpr const char* kGptCacheServer = R"(import sys
from typing import Optional
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from gptcache import cache
from gptcache.adapter.api import get, put
from gptcache.processor.pre import get_prompt

app = FastAPI()

class CacheData(BaseModel):
    prompt: str
    answer: Optional[str] = ""

@app.get("/")
async def hello():
    return "ready"

@app.post("/put")
async def put_cache(data: CacheData) -> str:
    put(data.prompt, data.answer)
    return "stored"

@app.post("/get")
async def get_cache(data: CacheData) -> CacheData:
    return CacheData(prompt=data.prompt, answer=get(data.prompt))

cache.init(pre_embedding_func=get_prompt)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
)";

void peers(Bench& bench, const Setup& setup, const Gateway& gateway, const std::string& python) {
  constexpr double kRate = 100;  // what LiteLLM's one worker keeps on one core, with room
  const auto bin = std::filesystem::path(python).parent_path();
  const auto ours = [&](bool cached) {
    bench.run(cached ? "hit, 100/s" : "pass-through, 100/s", "permutation",
              {.url = gateway.url,
               .request = [r = chat("up/fixed", false, cached, "Where is Paris?")](int) { return r; },
               .rate = kRate,
               .must_contain = cached ? "x-permutation-cache: hit" : "Seine"},
              gateway.process.get());
  };
  ours(false);
  ours(true);
  {
    const int port = free_port();
    const std::string url = fmt::format("http://127.0.0.1:{}", port);
    const std::string config = write_file(
        setup.folder, "litellm.yaml",
        fmt::format(
            "model_list:\n  - model_name: fixed\n    litellm_params:\n      model: openai/fixed\n      "
            "api_base: {}/v1\n      api_key: none\n"
            "general_settings:\n  dangerously_permit_weak_or_unset_master_key: true\n"
            "litellm_settings:\n  cache: true\n  cache_params:\n    type: local\n  telemetry: false\n",
            setup.upstream));
    const auto proxy = PeerProcess::start({(bin / "litellm").string(), "--config", config, "--port",
                                           std::to_string(port), "--host", "127.0.0.1"},
                                          url, "/health/liveliness", 180);
    if (!proxy) {
      progress("LiteLLM left out: " + proxy.error().message);
    } else {
      // Its cache is by request: a question of its own each time is a pass-through.
      bench.run("pass-through, 100/s", "LiteLLM proxy",
                {.url = url,
                 .request =
                     [](int i) {
                       return chat("fixed", false, false, fmt::format("Where is Paris? {} {}", i, clock()));
                     },
                 .rate = kRate,
                 .must_contain = "Seine"},
                proxy->get());
      bench.run("hit, 100/s", "LiteLLM proxy",
                {.url = url,
                 .request = [r = chat("fixed", false, true, "Where is Paris?")](int) { return r; },
                 .rate = kRate,
                 .must_contain = "Seine"},
                proxy->get());
    }
  }
  const int port = free_port();
  const std::string url = fmt::format("http://127.0.0.1:{}", port);
  const std::string script = write_file(setup.folder, "gptcache_serve.py", kGptCacheServer);
  const auto server = PeerProcess::start({python, script, std::to_string(port)}, url, "/", 180);
  if (!server) return progress("GPTCache left out: " + server.error().message);
  auto client = need(net::HttpClient::connect(url, 60));
  (void)need(client->request("POST", "/put", {{"content-type", "application/json"}},
                             R"({"prompt":"Where is Paris?","answer":"It lies on the Seine."})"));
  bench.run("hit, 100/s", "GPTCache server",
            {.url = url,
             .request = [r = post_of("/get", R"({"prompt":"Where is Paris?"})")](int) { return r; },
             .rate = kRate,
             .must_contain = "Seine"},
            server->get());
}

int bench(const char* argv0, std::vector<std::string> args) {
  const bool json = take_flag(args, "--json");
  const std::string python =
      take_value(args, "--peers", std::getenv("PMT_PEERS") != nullptr ? std::getenv("PMT_PEERS") : "");
  const double seconds = std::stod(take_value(args, "--seconds", "5"));
  const bool only_pass_through = take_flag(args, "--pass-through");
  if (!args.empty() || seconds <= 0) {
    fmt::print(stderr, "usage: bench gateway [--seconds S] [--pass-through] [--peers PYTHON] [--json]\n");
    return 2;
  }
  std::signal(SIGPIPE, SIG_IGN);
  const LoopbackUpstream upstream;  // the first: it forks
  std::string folder = (std::filesystem::temp_directory_path() / "pmt-gateway-XXXXXX").string();
  Setup setup{.binary = std::getenv("PERMUTATION_BIN") != nullptr
                            ? std::getenv("PERMUTATION_BIN")
                            : (std::filesystem::path(argv0).parent_path() / PMT_BINARY_FROM_HERE).string(),
              .folder = mkdtemp(folder.data()),
              .upstream = upstream.url()};
  Result result{.name = "gateway", .seed = 0, .rows = {}, .targets = {}};
  Bench measured(result, seconds);
  const Gateway gateway = start_gateway(setup);
  const double rss = gateway.process->rss_mb();
  measured.target("RSS with no model loaded, MB", "< 60", rss, rss < 60);
  pass_through(measured, setup, gateway);
  if (!only_pass_through) {
    measured.run("hit", "permutation",
                 {.url = gateway.url,
                  .request = [r = chat("up/fixed", false, true, "Where is Paris?")](int) { return r; },
                  .rate = 5000,
                  .must_contain = "x-permutation-cache: hit"},
                 gateway.process.get());
    idle_streams(measured, gateway);
    const double rss_after = gateway.process->rss_mb();
    measured.target("RSS after all of it, MB", "< 60", rss_after, rss_after < 60);
    if (!python.empty()) peers(measured, setup, gateway, python);
  }
  print(result, json);
  std::error_code ignored;
  std::filesystem::remove_all(setup.folder, ignored);
  return 0;
}

}  // namespace
}  // namespace pmt::bench

int main(int argc, char** argv) {
  return pmt::bench::bench(argv[0], {argv + 1, argv + argc});
}
