// ./dev eval prose [--model NAME|FILE] [--data DIR] [--sizes 32,128,1000] [--items N] [--articles N]
// [--records N] [--truncated N] [--chunked N] [--seed S] [--verbose] [--json]: questions over long texts,
// through the served door: a fresh `permutation serve` with the model, every question over HTTP of the model
// `rlm` with the text as its context.
//
// Texts: sentences planted among books of DIR/gutenberg (invented words without --data) at so many thousand
// tokens, which ask for one sentence (needle), for two that a name joins (two hops), or for what isn't there
// (absent); records among the same, to be counted and added up; and with --data the articles of DIR/xquad_en
// joined, with questions that people wrote, half of them again with the paragraph that tells taken out
// (absent). Beside it, by the same model without `rlm`: truncation (as much of the text's end as 7,000 tokens
// hold), every chunk read and what they say reduced, and for the articles the one right paragraph alone.
//
// An answer is right when its first line has the wanted words or number (of an article: or half of the words
// by F1), and one that the text can't give when it says so. Intervals are Wilson's at 95%.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <sstream>

#include <fmt/format.h>

#include "evals/prose_worlds.h"
#include "evals/word_f1.h"
#include "lab/measure.h"
#include "lab/server_process.h"
#include "net/http_client.h"

namespace pmt::evals {
using namespace lab;
namespace {

using json = nlohmann::json;

constexpr double kBytesPerToken = 4.0;  // to size a text; what it came to is counted by the server and shown
constexpr std::size_t kWindowTokens = 7'000, kChunkBytes = 6'000;

struct Reply {
  std::string text, steps;
  double seconds = 0, prompt_tokens = 0, cached_tokens = 0, written_tokens = 0, context_tokens = 0;
};

/// A question with what is around it.
struct Asked {
  const std::string& text;
  const ProseItem& item;
};

class Door {
 public:
  Door(net::HttpClient& client, std::string model) : client_(client), model_(std::move(model)) {}

  Reply by_rlm(const Asked& asked) {
    return send({{"model", "rlm"},
                 {"messages", {{{"role", "user"}, {"content", asked.item.question}}}},
                 {"permutation", {{"cache", {{"mode", "off"}}}, {"rlm", {{"context", asked.text}}}}}});
  }

  Reply directly(const std::string& text, const std::string& question) {
    const std::string prompt =
        text + "\n\nQuestion: " + question + "\nAnswer with the words of the text, as short as possible.";
    return send({{"model", model_},
                 {"messages", {{{"role", "user"}, {"content", prompt}}}},
                 {"permutation", {{"cache", {{"mode", "off"}}}, {"kv", {{"ratio", 1}}}}}});
  }

  Reply by_truncation(const Asked& asked) {
    const std::size_t bytes =
        std::min(asked.text.size(), static_cast<std::size_t>(kWindowTokens * kBytesPerToken));
    std::size_t at = asked.text.size() - bytes;
    while (at < asked.text.size() && (static_cast<unsigned char>(asked.text[at]) & 0xC0U) == 0x80U) ++at;
    return directly(asked.text.substr(at), asked.item.question);
  }

  Reply by_chunks(const Asked& asked) {
    const bool number = asked.item.task == "count" || asked.item.task == "sum";
    Reply all;
    std::string notes;
    double sum = 0;
    for (std::size_t begin = 0; begin < asked.text.size();) {
      std::size_t end = std::min(asked.text.size(), asked.text.find('\n', begin + kChunkBytes));
      const Reply one = directly(asked.text.substr(begin, end - begin),
                                 asked.item.question + (number ? " Answer with one number."
                                                               : " Say \"none\" if the text does not tell."));
      add(one, all);
      const auto digits = one.text.find_first_of("0123456789");
      if (number && digits != std::string::npos) sum += std::strtod(one.text.c_str() + digits, nullptr);
      if (text::lower(one.text).find("none") == std::string::npos) notes += one.text.substr(0, 160) + "\n";
      begin = end;
    }
    if (!number) add(directly(notes.substr(0, 4 * kChunkBytes), asked.item.question), all);
    if (number) all.text = fmt::format("{:.0f}", sum);
    return all;
  }

 private:
  static void add(const Reply& one, Reply& all) {
    all.text = one.text;
    all.seconds += one.seconds, all.prompt_tokens += one.prompt_tokens,
        all.written_tokens += one.written_tokens;
    all.cached_tokens += one.cached_tokens;
  }

  Reply send(json body) {
    body["temperature"] = 0;
    body["max_tokens"] = 48;
    body["permutation"]["budget"]["seconds"] = 600;
    const Stopwatch watch;
    const auto response = need(
        client_.request("POST", "/v1/chat/completions", {{"content-type", "application/json"}}, body.dump()));
    Reply reply;
    reply.text = response.body, reply.seconds = watch.seconds();
    if (response.status != 200) return reply;
    const json answer = json::parse(response.body);
    reply.text = answer["choices"][0]["message"]["content"];
    reply.prompt_tokens = answer["usage"]["prompt_tokens"];
    reply.written_tokens = answer["usage"]["completion_tokens"];
    const json extension = answer.value("permutation", json::object());
    if (!extension.contains("engine")) return reply;
    const json& engine = extension["engine"];
    reply.cached_tokens = engine["kv_cache_compression"].value("prefix_tokens_reused", 0.);
    reply.context_tokens = engine["performance"].value("context_tokens", 0.);
    reply.steps = engine.value("reasoning_trace", json()).dump();
    return reply;
  }

  net::HttpClient& client_;
  const std::string model_;
};

bool is_right(const ProseItem& item, const std::string& text) {
  const bool refused = text.starts_with("Not in the text");
  if (item.wanted.empty()) return refused;
  if (refused) return false;
  const std::string first = text.substr(0, text.find('\n'));
  if (item.task == "count" || item.task == "sum") {
    const auto begin = first.find_first_of("0123456789");
    return begin != std::string::npos &&
           first.substr(begin, first.find_first_not_of("0123456789", begin) - begin) == item.wanted;
  }
  return text::plain_text(first).find(text::plain_text(item.wanted)) != std::string::npos ||
         (item.task == "articles" && word_f1(first, item.wanted) >= 0.5);
}

struct Row {
  std::string text, task, method;
  double n = 0, right = 0, refused = 0, tokens = 0, cached = 0, written = 0, context_tokens = 0;
  std::vector<double> seconds = {};
};

class Table {
 public:
  explicit Table(bool verbose) : verbose_(verbose) {}

  void add(const std::string& text, const std::string& method, const ProseItem& item, const Reply& reply) {
    Row& row = rows_[text + item.task + method];
    row.text = text, row.task = item.task, row.method = method;
    const bool right = is_right(item, reply.text);
    ++row.n;
    row.right += right ? 1 : 0;
    row.refused += reply.text.starts_with("Not in the text") ? 1 : 0;
    row.tokens += reply.prompt_tokens, row.cached += reply.cached_tokens, row.written += reply.written_tokens;
    row.context_tokens = std::max(row.context_tokens, reply.context_tokens);
    row.seconds.push_back(reply.seconds);
    if (verbose_ || !right)
      progress(fmt::format("{}, {}, {}: {} \"{}\" wanted {}, said \"{}\" ({:.1f} s)", text, method, item.task,
                           right ? "right:" : "WRONG:", item.question,
                           item.wanted.empty() ? "nothing" : item.wanted, reply.text.substr(0, 300),
                           reply.seconds));
    if (verbose_ && !right && !reply.steps.empty()) progress("  by " + reply.steps);
  }

  void print(Result& result, bool as_json) {
    for (auto& [key, row] : rows_) {
      std::ranges::sort(row.seconds);
      const auto [low, high] = wilson(row.right, row.n);
      result.rows.push_back({{"text", row.text},
                             {"task", row.task},
                             {"method", row.method},
                             {"n", row.n},
                             {"right", row.right},
                             {"share", std::round(1e3 * row.right / row.n) / 1e3},
                             {"ci95", fmt::format("{:.2f}-{:.2f}", low, high)},
                             {"said it isn't there", row.refused},
                             {"context_tokens", row.context_tokens},
                             {"prompt_tokens", std::round(row.tokens / row.n)},
                             {"of them from the prefix cache", std::round(row.cached / row.n)},
                             {"written_tokens", std::round(row.written / row.n)},
                             {"s_median", std::round(1e3 * median(row.seconds)) / 1e3},
                             {"s_max", std::round(1e3 * row.seconds.back()) / 1e3}});
    }
    lab::print(result, as_json);
  }

 private:
  const bool verbose_;
  std::map<std::string, Row> rows_;
};

struct Settings {
  std::string data;
  std::vector<std::string> sizes;
  int items = 40, articles = 40, records = 10, truncated = 3, chunked = 0, seed = 1;
};

std::string books(const std::string& data, std::size_t bytes, unsigned seed) {
  if (data.empty()) return filler_text(bytes, seed);
  std::string text, all;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(data + "/gutenberg")) {
    if (entry.path().extension() == ".txt" && entry.path().filename() != "NOTES.txt")
      files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const auto& file : files) {
    std::ostringstream content;
    content << std::ifstream(file, std::ios::binary).rdbuf();
    all += content.str() + "\n\n";
  }
  std::erase(all, '\r');
  while (!all.empty() && text.size() < bytes) text += all;
  text.resize(std::min(bytes, text.size()));
  return text;
}

void ask_planted(const Settings& set, const std::string& size, Door& door, Table& table) {
  const auto seed = static_cast<unsigned>(set.seed + std::stoi(size));
  const std::string filler =
      books(set.data, static_cast<std::size_t>(std::stoi(size) * 1e3 * kBytesPerToken), seed);
  const std::string name = size + "K tokens";
  std::map<std::string, int> tried;
  for (const ProseWorld& world : {prose_world(filler, set.items, seed),
                                  records_world(filler, 3 * std::stoi(size), set.records, seed)}) {
    for (const ProseItem& item : world.items) {
      const Asked asked{.text = world.text, .item = item};
      const int before = tried[item.task]++;
      table.add(name, "rlm", item, door.by_rlm(asked));
      if (before < set.truncated && !item.wanted.empty())
        table.add(name, "truncation", item, door.by_truncation(asked));
      if (before < set.chunked && std::stoi(size) <= 32)
        table.add(name, "every chunk", item, door.by_chunks(asked));
    }
  }
}

struct Paragraph {
  std::string text;
  std::vector<ProseItem> items;
};

std::vector<Paragraph> articles(const std::string& data) {
  std::ifstream file(data + "/xquad_en/xquad.en.json");
  std::vector<Paragraph> all;
  const json read = json::parse(file, nullptr, false);
  if (read.is_discarded()) fail("can't read " + data + "/xquad_en/xquad.en.json");
  for (const json& article : read.at("data")) {
    for (const json& paragraph : article.at("paragraphs")) {
      Paragraph& one = all.emplace_back(Paragraph{.text = paragraph.at("context"), .items = {}});
      for (const json& q : paragraph.at("qas"))
        one.items.push_back({"articles", q.at("question"), q.at("answers").at(0).at("text")});
    }
  }
  return all;
}

void ask_articles(const Settings& set, Door& door, Table& table) {
  const std::vector<Paragraph> all = articles(set.data);
  std::mt19937 random(static_cast<unsigned>(set.seed));
  const auto joined = [&](const Paragraph* without) {
    std::string text;
    for (const Paragraph& one : all) text += &one == without ? "" : one.text + "\n\n";
    return text;
  };
  const std::string whole = joined(nullptr);
  for (int i = 0; i < set.articles; ++i) {
    const Paragraph& paragraph = all[random() % all.size()];
    const ProseItem& item = paragraph.items[random() % paragraph.items.size()];
    table.add("articles", "rlm", item, door.by_rlm({.text = whole, .item = item}));
    table.add("articles", "the right paragraph alone", item, door.directly(paragraph.text, item.question));
    if (i < set.truncated)
      table.add("articles", "truncation", item, door.by_truncation({.text = whole, .item = item}));
    if (i % 2 != 0) continue;
    const ProseItem absent{.task = "absent", .question = item.question, .wanted = ""};
    table.add("articles", "rlm", absent, door.by_rlm({.text = joined(&paragraph), .item = absent}));
  }
}

int run(const std::string& self, std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json"), verbose = take_flag(args, "--verbose");
  const char* embedded = std::getenv("PERMUTATION_MODEL");
  const std::string model = take_value(args, "--model", embedded == nullptr ? "" : embedded);
  const auto number = [&](const char* flag, const char* fallback) {
    return std::stoi(take_value(args, flag, fallback));
  };
  Settings set;
  set.data = take_value(args, "--data", "");
  set.sizes = split(take_value(args, "--sizes", "32,128,1000"));
  set.items = number("--items", "40"), set.articles = number("--articles", "40");
  set.records = number("--records", "10"), set.truncated = number("--truncated", "3");
  set.chunked = number("--chunked", "0"), set.seed = number("--seed", "1");
  Result result;
  result.name = "eval prose";
  result.seed = set.seed;
  if (model.empty() || !args.empty()) {
    progress(
        "usage: ./dev eval prose [--model NAME|FILE] [--data DIR] [--sizes 32,128,1000] [--items N] [--articles N] "
        "[--records N] [--truncated N] [--chunked N] [--seed S] [--verbose] [--json]");
    return 2;
  }
  const std::string binary =
      (std::filesystem::path(self).parent_path().parent_path() / "src" / "app" / "permutation").string();
  const auto server = need(ServerProcess::start(binary, {"--model", model}));
  const auto client = need(net::HttpClient::connect(server->url(), 600));
  const json listed = json::parse(need(client->request("GET", "/v1/models", {}, "")).body);
  std::string name;
  for (const json& one : listed.at("data")) {
    if (one.contains("meta") && one.at("id") != "permutation" && one.at("id") != "rlm" &&
        one.at("id") != "unified")
      name = one.at("id");
  }
  Door door(*client, name);
  Table table(verbose);
  for (const std::string& size : set.sizes) {
    if (!size.empty()) ask_planted(set, size, door, table);
  }
  if (!set.data.empty()) ask_articles(set, door, table);
  table.print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::run(argv[0], {argv + 1, argv + argc});
}
