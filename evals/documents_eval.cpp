// ./dev eval documents [--model NAME|FILE] [--data DIR] [--n N] [--articles N] [--manuals N] [--firms N] [--threads N]
// [--seconds S] [--seed S] [--retrieval] [--verbose] [--json]: questions about documents that a domain was taught,
// through the served door, by what the model is shown of them:
//   none             nothing
//   text             passages as a part of the prompt
//   packs            what it read of each passage by itself, put in its place
//   packs_then_text  so, but the best passage, which is read behind them
//   auto             as the server chooses
// The text's arm has a server of its own, which keeps no prefixes: what it reads is cold. Both servers have one folder
// of knowledge, and find the same passages.
//
// Documents: articles of DIR/xquad_en joined, N of them (0: all), and manuals of N invented firms. Of each set's
// questions so many are asked (--n, --manuals), in random order; none is asked any more after S seconds. An answer is
// right when one of the accepted ones stands in it. What retrieval missed is in rows of its own ("nothing shown",
// "others shown"). Where one passage is shown, packs_then_text and auto are what packs are, and aren't asked again.
//
// --retrieval: no model is asked; how often the right passage is found, by words, by the server's embedder, by both.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

#include "base/json.h"
#include "evals/documents_arms.h"
#include "evals/documents_retrieval.h"
#include "evals/documents_worlds.h"
#include "lab/server_process.h"
#include "net/http_client.h"

namespace pmt::evals {
using namespace lab;
namespace {

using json = nlohmann::json;

constexpr const char* kDomain = "measured";
const net::Headers kJson{{"content-type", "application/json"}};

struct Settings {
  std::string model = {}, data = {}, folder = {};
  int n = 200, articles = 12, manuals = 60, firms = 8, threads = 0, seconds = 1'000'000, seed = 1;
  bool retrieval = false, verbose = false;
};

/// A server of the model, and a connection to it.
class Door {
 public:
  Door(const std::string& binary, const Settings& set, const std::string& name, std::int64_t prefix_bytes) {
    const std::string path = fmt::format("{}/{}.toml", set.folder, name);
    std::ofstream(path) << fmt::format(
        "[cache]\nenabled = false\n[knowledge]\npath = \"{}/knowledge\"\n{}threads = {}\n"
        "kv_bytes = 4294967296\nprefix_bytes = {}\n",
        set.folder, model_table(set.model), set.threads, prefix_bytes);
    server_ = need(ServerProcess::start(binary, {"--config", path}));
    client_ = need(net::HttpClient::connect(server_->url(), 900));
    // Not an engine, which would hold an answer's beginning back until it is sure.
    model_ = served_name(set.model);
  }

  const std::string& model() const { return model_; }

  json learn(const std::string& name, const std::string& text) {
    json job = post(fmt::format("/v1/knowledge/{}/documents", kDomain), {{"name", name}, {"content", text}});
    while (base::text_at(job, "status") == "queued" || base::text_at(job, "status") == "running") {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      job = json::parse(
          need(client_->request("GET", "/v1/knowledge/jobs/" + job.at("id").get<std::string>(), {}, ""))
              .body);
    }
    if (base::text_at(job, "status") != "done") fail("a document wasn't learnt: " + job.dump());
    return job.at("report");
  }

  DocumentReply ask(const DocumentItem& item, const std::string& attach) {
    const json body{{"model", model_},
                    {"stream", true},
                    {"stream_options", {{"include_usage", true}}},
                    {"temperature", 0},
                    {"max_tokens", 24},
                    {"stop", {"\n"}},
                    {"messages", {{{"role", "user"}, {"content", item.question}}}},
                    {"permutation", {{"knowledge", {kDomain}}, {"documents", {{"attach", attach}}}}}};
    DocumentReply out;
    std::string rest;
    json more, usage;
    const Stopwatch watch;
    const auto answer =
        need(client_->stream("POST", "/v1/chat/completions", kJson, body.dump(), [&](std::string_view bytes) {
          rest += bytes;
          for (std::size_t end = rest.find("\n\n"); end != std::string::npos; end = rest.find("\n\n")) {
            constexpr std::size_t kLead = sizeof("data: ") - 1;
            const json event = json::parse(rest.substr(kLead, end - kLead), nullptr, false);
            rest.erase(0, end + 2);
            const auto piece = base::text_at(base::at(base::first_at(event, "choices"), "delta"), "content");
            if (out.text.empty() && !piece.empty()) out.first_token_s = watch.seconds();
            out.text += piece;
            if (base::at(event, "permutation").is_object()) more = event["permutation"];
            if (base::at(event, "usage").is_object()) usage = event["usage"];
          }
          return true;
        }));
    if (answer.status != 200 || !usage.is_object()) fail("the server answered: " + answer.body + rest);
    if (out.text.empty()) out.first_token_s = watch.seconds();  // it ends at once
    read_report(more, usage, item, out);
    return out;
  }

  std::vector<std::vector<float>> embed(const std::vector<std::string>& texts) {
    std::vector<std::vector<float>> out;
    constexpr std::size_t kBatch = 32;
    for (std::size_t at = 0; at < texts.size(); at += kBatch) {
      const std::vector<std::string> some(
          texts.begin() + static_cast<std::ptrdiff_t>(at),
          texts.begin() + static_cast<std::ptrdiff_t>(std::min(texts.size(), at + kBatch)));
      const json answer = post("/v1/embeddings", {{"model", "all-minilm-l6-v2"}, {"input", some}});
      for (const json& one : answer.at("data")) out.push_back(one.at("embedding").get<std::vector<float>>());
    }
    return out;
  }

 private:
  json post(const std::string& target, const json& body) {
    const auto answer = need(client_->request("POST", target, kJson, body.dump()));
    if (answer.status >= 300) fail(target + ": " + answer.body);
    return json::parse(answer.body);
  }

  static void read_report(const json& more, const json& usage, const DocumentItem& item, DocumentReply& out) {
    out.read_tokens = base::number_at(usage, "prompt_tokens").value_or(0) -
                      base::number_at(base::at(more, "kv"), "prefix_tokens_reused").value_or(0);
    const json& documents = base::at(base::at(more, "engine"), "documents");
    out.attached = base::text_at(documents, "attached");
    for (const json& source : base::array_at(documents, "sources")) {
      ++out.shown;
      out.right_shown |= source.at("document") == item.document && source.at("begin") < item.end &&
                         source.at("end") > item.begin;
    }
  }

  std::unique_ptr<ServerProcess> server_;
  std::unique_ptr<net::HttpClient> client_;
  std::string model_;
};

/// The documents of both sets, and so many of each one's questions, in turn.
DocumentWorld world_of(const Settings& set) {
  DocumentWorld out;
  const auto seed = static_cast<unsigned>(set.seed);
  const auto add = [&](DocumentWorld world, int n) {
    out.documents.merge(world.documents);
    world.items.resize(std::min(world.items.size(), static_cast<std::size_t>(std::max(0, n))));
    std::vector<DocumentItem> both;
    for (std::size_t i = 0; i < std::max(out.items.size(), world.items.size()); ++i) {
      if (i < out.items.size()) both.push_back(std::move(out.items[i]));
      if (i < world.items.size()) both.push_back(std::move(world.items[i]));
    }
    out.items = std::move(both);
  };
  if (!set.data.empty()) add(articles(set.data, set.articles, seed), set.n);
  if (set.firms > 0) add(manuals(set.firms, seed), set.manuals);
  if (out.items.empty()) fail("no documents: --data names a folder with xquad_en, --firms makes manuals");
  return out;
}

struct Doors {
  Door packs, text;
};

std::map<std::string, DocumentReply> ask_all(Doors& doors, const DocumentItem& item, bool text_first) {
  std::map<std::string, DocumentReply> out;
  const auto text = [&] { out[kTextArm] = doors.text.ask(item, "text"); };
  const auto packs = [&] { out[kPacksArm] = doors.packs.ask(item, "packs"); };
  if (text_first) text();
  packs();
  if (!text_first) text();
  out["none"] = doors.text.ask(item, "off");
  for (const char* arm : {"packs_then_text", "auto"})
    out[arm] = out[kPacksArm].shown > 1 ? doors.packs.ask(item, arm) : out[kPacksArm];
  return out;
}

void ask_world(const std::string& binary, const Settings& set, const DocumentWorld& world, Result& result) {
  auto packs = std::make_unique<Door>(binary, set, "packs", std::int64_t{3} << 30);
  double bytes = 0, passages = 0, seconds = 0;
  for (const auto& [name, text] : world.documents) {
    const json report = packs->learn(name, text);
    bytes += static_cast<double>(text.size()), passages += base::number_at(report, "passages").value_or(0);
    seconds += base::number_at(report, "read_seconds").value_or(0);
  }
  progress(fmt::format("learnt: {} documents, {:.0f} bytes, {:.0f} passages, read in {:.1f} s",
                       world.documents.size(), bytes, passages, seconds));
  Doors doors{.packs = std::move(*packs), .text = Door(binary, set, "text", 0)};
  DocumentArms arms(doors.text.model());
  const Stopwatch watch;
  for (std::size_t i = 0; i < world.items.size() && watch.seconds() < set.seconds; ++i) {
    const DocumentItem& item = world.items[i];
    auto replies = ask_all(doors, item, i % 2 == 0);
    for (const auto& [arm, reply] : replies) {
      if (set.verbose)
        progress(fmt::format("{}: {} \"{}\" said \"{}\" ({} shown{}, {:.2f} s)", arm,
                             is_right(item, reply.text) ? "right" : "WRONG", item.question, reply.text,
                             reply.shown, reply.right_shown ? ", the right one" : "", reply.first_token_s));
    }
    arms.add(item, std::move(replies));
    if (arms.asked() % 20 == 0) progress(arms.so_far());
  }
  arms.add_rows(result);
  arms.add_targets(result);
}

int run(const std::string& self, std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  const char* embedded = std::getenv("PERMUTATION_MODEL");
  Settings set{.retrieval = take_flag(args, "--retrieval"), .verbose = take_flag(args, "--verbose")};
  set.model = take_value(args, "--model", embedded == nullptr ? "" : embedded);
  set.data = take_value(args, "--data", "");
  const auto number = [&](const char* flag, int& value) {
    value = std::stoi(take_value(args, flag, std::to_string(value)));
  };
  number("--n", set.n), number("--articles", set.articles), number("--manuals", set.manuals);
  number("--firms", set.firms), number("--threads", set.threads);
  number("--seconds", set.seconds), number("--seed", set.seed);
  if (set.model.empty() || !args.empty()) {
    progress(
        "usage: ./dev eval documents [--model NAME|FILE] [--data DIR] [--n N] [--articles N] [--manuals N] [--firms N] "
        "[--threads N] [--seconds S] [--seed S] [--retrieval] [--verbose] [--json]");
    return 2;
  }
  const std::string binary =
      (std::filesystem::path(self).parent_path().parent_path() / "src" / "app" / "permutation").string();
  const auto folder =
      std::filesystem::temp_directory_path() / fmt::format("permutation-documents-{}", getpid());
  std::filesystem::create_directories(folder);
  set.folder = folder.string();
  Result result{.name = set.retrieval ? "eval documents, retrieval" : "eval documents",
                .seed = set.seed,
                .rows = {},
                .targets = {}};
  if (set.retrieval) {
    Door door(binary, set, "embedder", 0);
    const EmbedTexts embed = [&](const std::vector<std::string>& texts) { return door.embed(texts); };
    const auto seed = static_cast<unsigned>(set.seed);
    if (!set.data.empty()) add_retrieval(articles(set.data, set.articles, seed), embed, result);
    if (set.firms > 0) add_retrieval(manuals(set.firms, seed), embed, result);
  } else {
    ask_world(binary, set, world_of(set), result);
  }
  print(result, as_json);
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::run(argv[0], {argv + 1, argv + argc});
}
