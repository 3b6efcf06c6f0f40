#include "evals/longcontext_arms.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/json.h"

namespace pmt::evals {
using namespace lab;
namespace {

using nlohmann::json;

constexpr int kAnswerTokens = 32, kRlmTokens = 64;
constexpr std::size_t kNoteBytes = 160;

std::size_t bytes_of(int tokens) {
  return static_cast<std::size_t>(tokens * kLongBytesPerToken);
}

/// How an answer is to be written, for whoever doesn't compute it.
std::string form_of(const LongItem& item) {
  return item.kind == LongAnswer::kChoice ? "Answer with one word." : "Answer with the number alone.";
}

void add(const LongReply& one, LongReply& all) {
  all.text = one.text;
  all.seconds += one.seconds, all.prompt_tokens += one.prompt_tokens, all.cached_tokens += one.cached_tokens;
  all.written_tokens += one.written_tokens;
  ++all.calls;
}

std::string file_of(const std::string& folder, const std::string& name, const std::string& content) {
  const std::string path = folder + "/" + name;
  std::ofstream(path, std::ios::binary) << content;
  return path;
}

/// What the program wrote on stdout, as JSON; null where it failed.
json output_of(const std::vector<std::string>& args, const std::string& out_path) {
  const pid_t pid = fork();
  if (pid == 0) {
    const int out = open(out_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    dup2(out, STDOUT_FILENO);
    std::vector<char*> argv;
    for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  std::ifstream file(out_path);
  std::string last;
  for (std::string line; std::getline(file, line);) last = line;
  json said = json::parse(last, nullptr, false);
  return status == 0 && said.is_object() ? said : json();
}

}  // namespace

LongDoor::LongDoor(LongDoorOptions options) : options_(std::move(options)) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("permutation-long-{}", getpid());
  std::filesystem::create_directories(folder);
  const std::string config = file_of(folder.string(), "long.toml",
                                     fmt::format("[cache]\nenabled = false\n{}threads = {}\n",
                                                 model_table(options_.model), options_.threads));
  server_ = need(ServerProcess::start(options_.binary, {"--config", config}));
  std::filesystem::remove_all(folder);
  client_ = need(net::HttpClient::connect(server_->url(), 3600));
  model_ = served_name(options_.model);
}

LongReply LongDoor::send(json body, int max_tokens) {
  body["temperature"] = 0;
  body["max_tokens"] = max_tokens;
  body["permutation"]["budget"]["seconds"] = std::max(1, static_cast<int>(options_.seconds));
  const Stopwatch watch;
  const auto response = need(
      client_->request("POST", "/v1/chat/completions", {{"content-type", "application/json"}}, body.dump()));
  LongReply reply{.text = response.body, .seconds = watch.seconds()};
  if (response.status != 200) {
    progress("the server answered: " + response.body);
    return reply;
  }
  const json answer = json::parse(response.body);
  reply.text = answer["choices"][0]["message"]["content"];
  reply.prompt_tokens = answer["usage"]["prompt_tokens"];
  reply.written_tokens = answer["usage"]["completion_tokens"];
  const json& more = base::at(answer, "permutation");
  reply.cached_tokens = base::number_at(base::at(more, "kv"), "prefix_tokens_reused").value_or(0);
  const json& performance = base::at(base::at(more, "engine"), "performance");
  reply.calls = base::number_at(performance, "total_calls").value_or(1);
  return reply;
}

LongReply LongDoor::by_rlm(const LongText& long_text, const LongItem& item) {
  return send({{"model", "rlm"},
               {"messages", {{{"role", "user"}, {"content", item.question}}}},
               {"permutation", {{"rlm", {{"context", long_text.text}}}}}},
              kRlmTokens);
}

LongReply LongDoor::directly(const std::string& text, const LongItem& item, const std::string& more) {
  const std::string prompt = fmt::format("{}\n\nQuestion: {} {}{}", text, item.question, form_of(item), more);
  return send({{"model", model_},
               {"messages", {{{"role", "user"}, {"content", prompt}}}},
               {"permutation", {{"kv", {{"ratio", 1}}}}}},
              kAnswerTokens);
}

LongReply LongDoor::by_truncation(const LongText& long_text, const LongItem& item) {
  const std::string& text = long_text.text;
  const std::size_t kept = std::min(text.size(), bytes_of(options_.window_tokens));
  return directly(text.substr(text.size() - kept), item, "");
}

LongReply LongDoor::by_chunks(const LongText& long_text, const LongItem& item) {
  const std::string& text = long_text.text;
  LongReply all{.calls = 0};
  std::string notes;
  double sum = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    if (all.seconds > options_.seconds) {
      all.given_up = fmt::format("after {:.0f} s, {:.0f}% of the text was read", all.seconds,
                                 100. * static_cast<double>(begin) / static_cast<double>(text.size()));
      return all;
    }
    const std::size_t end = std::min(text.size(), text.find('\n', begin + bytes_of(options_.chunk_tokens)));
    const LongReply one = directly(text.substr(begin, end - begin), item,
                                   item.kind == LongAnswer::kNeedle ? " Say none if it isn't told." : "");
    add(one, all);
    const auto digits = one.text.find_first_of("0123456789");
    if (digits != std::string::npos) sum += std::strtod(one.text.c_str() + digits, nullptr);
    if (digits != std::string::npos || item.kind != LongAnswer::kNeedle)
      notes += one.text.substr(0, kNoteBytes) + "\n";
    begin = end;
  }
  if (item.kind == LongAnswer::kCount) {
    all.text = fmt::format("{:.0f}", sum);
  } else {
    add(directly("What the parts of a text say, one a line:\n" + notes, item, ""), all);
  }
  return all;
}

LongReply LongDoor::by_rlms(const LongText& long_text, const LongItem& item) {
  const char* python = std::getenv("PMT_PEERS");
  if (python == nullptr || *python == '\0')
    return {.given_up = "no Python with rlms: run it as ./dev eval longcontext --peers N"};
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("permutation-rlms-{}", getpid());
  std::filesystem::create_directories(folder);
  const json said =
      output_of({python, "-B", PMT_EVALS_DIR "/peers/longcontext_rlms.py", "--url", server_->url() + "/v1",
                 "--model", model_, "--text", file_of(folder.string(), "text", long_text.text), "--question",
                 item.question + " " + form_of(item), "--seconds", fmt::format("{:.0f}", options_.seconds)},
                folder / "said");
  std::filesystem::remove_all(folder);
  if (said.is_null()) return {.given_up = "rlms failed"};
  LongReply reply{.text = said.at("answer"), .seconds = said.at("seconds")};
  reply.prompt_tokens = said.at("prompt_tokens"), reply.written_tokens = said.at("written_tokens");
  reply.calls = said.at("calls");
  return reply;
}

}  // namespace pmt::evals
