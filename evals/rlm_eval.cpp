// ./dev eval rlm [--data DIR] [--sizes 32,128,1000] [--items N] [--truncated N] [--mapped N] [--kv-ratio R]
// [--json]: what RecursiveLanguageModel answers about contexts that the model's window can't hold.
//
// A context is made of public-domain books (repeated where they are shorter than asked) with two kinds of
// things planted at seeded places: facts in one sentence each, and records, one a line. Three tasks: a fact
// asked for (needle), the records that fit a condition counted (count), an amount of them added up (sum).
// Beside it stand the two simple ways, by the same model: truncation (as much of the context's end as the
// window takes) and mapping (every chunk read, the answers reduced). An answer is right when it holds the
// planted word, or is the number. Intervals are Wilson's at 95%.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "inference/local_model.h"
#include "lab/measure.h"
#include "llm/sinks.h"
#include "rlm/engine.h"
#include "rlm/passages.h"
#include "rlm/rlm_request.h"
#include "text/plain_words.h"

namespace pmt::evals {
using namespace lab;
namespace {

constexpr double kBytesPerToken = 4.0;  // to size a context; what it came to is counted and shown
constexpr std::size_t kWindowTokens = 7'600, kChunkBytes = 6'000;

struct Item {
  std::string task, question, wanted;
};

struct Context {
  std::string text;
  std::int64_t tokens = 0;
  std::vector<Item> items;
};

struct Reply {
  std::string text;
  std::int64_t tokens_read = 0;
  double seconds = 0;
};

struct Score {
  int n = 0, right = 0;
  double tokens = 0, seconds = 0;
};

std::string read_books(const std::string& data, std::size_t bytes) {
  std::string text;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(data + "/gutenberg")) {
    if (entry.path().extension() == ".txt" && entry.path().filename() != "NOTES.txt")
      files.push_back(entry.path());
  }
  std::ranges::sort(files);
  while (!files.empty() && text.size() < bytes) {
    for (const auto& file : files) {
      std::ifstream in(file, std::ios::binary);
      std::ostringstream content;
      content << in.rdbuf();
      text += content.str();
    }
  }
  text.resize(std::min(bytes, text.size()));
  return text;
}

template <class T>
const T& one_of(const std::vector<T>& items, std::mt19937& random) {
  return items[std::uniform_int_distribution<std::size_t>(0, items.size() - 1)(random)];
}

/// The facts, each with its question.
void plant_facts(std::vector<std::string>& planted, std::vector<Item>& items, int n, std::mt19937& random) {
  const std::vector<std::string> words = {"heron",  "granite", "saffron", "lantern", "walnut", "copper",
                                          "violet", "falcon",  "marble",  "cedar",   "amber",  "thistle",
                                          "harbor", "pepper",  "raven",   "quartz"};
  const std::vector<std::string> things = {"lighthouse",     "observatory", "brewery",   "vineyard",
                                           "printing house", "shipyard",    "monastery", "sawmill",
                                           "tannery",        "glassworks"};
  const std::vector<std::string> places = {"Varna",  "Oulu",  "Trieste", "Cadiz",
                                           "Bergen", "Split", "Riga",    "Nantes"};
  for (int i = 0; i < n; ++i) {
    const std::string& word = one_of(words, random);
    const std::string& thing = things[static_cast<std::size_t>(i) % things.size()];
    const std::string& place =
        places[static_cast<std::size_t>(i / static_cast<int>(things.size()) + i) % places.size()];
    planted.push_back(fmt::format("The secret password of the {} in {} is {}.", thing, place, word));
    items.push_back(
        {"needle", fmt::format("What is the secret password of the {} in {}?", thing, place), word});
  }
}

void plant_records(std::vector<std::string>& planted, std::vector<Item>& items, int records, int n,
                   std::mt19937& random) {
  const std::vector<std::string> branches = {"Oslo", "Porto", "Ghent", "Turin", "Lodz", "Graz"};
  const std::vector<std::string> kinds = {"transfer", "deposit", "refund", "loan"};
  std::uniform_int_distribution<int> amount(1, 999);
  struct Entry {
    std::string branch, kind;
    int amount;
  };
  std::vector<Entry> entries;
  for (int i = 0; i < records; ++i) {
    entries.push_back({one_of(branches, random), one_of(kinds, random), amount(random)});
    const Entry& e = entries.back();
    planted.push_back(
        fmt::format("entry={}; branch={}; kind={}; amount={}", i + 1, e.branch, e.kind, e.amount));
  }
  for (int i = 0; i < n; ++i) {
    const std::string &branch = one_of(branches, random), &kind = one_of(kinds, random);
    int count = 0, sum = 0;
    for (const Entry& e : entries) {
      if (e.branch == branch && e.kind == kind) {
        ++count;
        sum += e.amount;
      }
    }
    items.push_back({"count", fmt::format("How many entries of kind {} are from branch {}?", kind, branch),
                     std::to_string(count)});
    items.push_back(
        {"sum",
         fmt::format("What is the total amount of the entries of kind {} from branch {}?", kind, branch),
         std::to_string(sum)});
  }
}

Context make_context(const std::string& data, int kilo_tokens, int n, std::mt19937& random) {
  Context context;
  std::vector<std::string> planted;
  plant_facts(planted, context.items, n, random);
  plant_records(planted, context.items, 3 * kilo_tokens, n, random);
  std::size_t bytes = 0;
  for (const auto& line : planted) bytes += line.size() + 2;
  const std::string book =
      read_books(data, static_cast<std::size_t>(kilo_tokens * 1'000 * kBytesPerToken) - bytes);
  std::vector<std::size_t> at(planted.size());
  std::uniform_int_distribution<std::size_t> anywhere(0, book.size() - 1);
  for (auto& position : at) {  // at the end of a line
    position = book.find('\n', anywhere(random));
    if (position == std::string::npos) position = book.size() - 1;
  }
  std::vector<std::size_t> order(planted.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::sort(order, {}, [&](std::size_t i) { return at[i]; });
  std::size_t from = 0;
  for (const std::size_t i : order) {
    context.text.append(book, from, at[i] + 1 - from);
    context.text += planted[i] + "\n";
    from = at[i] + 1;
  }
  context.text.append(book, from);
  return context;
}

bool is_right(const Item& item, const std::string& text) {
  if (item.task == "needle") return text::lower(text).find(item.wanted) != std::string::npos;
  const auto begin = text.find_first_of("0123456789");  // the first number that it says
  if (begin == std::string::npos) return false;
  return text.substr(begin, text.find_first_not_of("0123456789", begin) - begin) == item.wanted;
}

class Runner {
 public:
  Runner(inference::LocalModel& model, double kv_ratio, std::size_t passages_read) : model_(model) {
    rlm::RlmOptions options{.kv_ratio = kv_ratio};
    options.root = options.leaf = {.completer = &model,
                                   .name = model.info().name,
                                   .tokenizer = &model,
                                   .context_tokens = model.info().context_tokens,
                                   .parameters = model.info().parameters};
    options.bounds.answer_tokens = 32;
    options.bounds.passages_read = passages_read;
    engine_ = std::make_unique<rlm::RecursiveLanguageModel>(std::move(options), clock_);
  }

  Reply by_rlm(const Context& context, const Item& item) {
    llm::Request request;
    request.id = "eval";
    request.messages = {rlm::message("user", item.question)};
    request.options.set(rlm::RlmRequest{.context = {context.text}});
    const Stopwatch watch;
    Reply reply = complete(*engine_, std::move(request));
    reply.seconds = watch.seconds();
    return reply;
  }

  Reply by_truncation(const Context& context, const Item& item) {
    const Stopwatch watch;
    std::size_t bytes =
        std::min(context.text.size(), static_cast<std::size_t>(kWindowTokens * kBytesPerToken));
    while (static_cast<std::size_t>(model_.count_tokens(tail(context.text, bytes))) > kWindowTokens)
      bytes -= bytes / 16;
    Reply reply = ask(tail(context.text, bytes), item.question);
    reply.seconds = watch.seconds();
    return reply;
  }

  Reply by_mapping(const Context& context, const Item& item) {
    const Stopwatch watch;
    rlm::Watch nobody;
    const auto chunks = rlm::split(context.text, kChunkBytes, nobody).value();
    std::string notes;
    Reply all;
    double sum = 0;
    for (const auto& chunk : chunks) {
      const Reply one =
          ask(std::string(rlm::text_of(context.text, chunk)),
              item.question + (item.task == "needle" ? " Say \"none\" if the text does not tell."
                                                     : " Answer with one number."));
      all.tokens_read += one.tokens_read;
      if (item.task != "needle") {
        const auto at = one.text.find_first_of("0123456789");
        if (at != std::string::npos) sum += std::strtod(one.text.c_str() + at, nullptr);
      } else if (one.text.find("none") == std::string::npos && one.text.find("None") == std::string::npos) {
        notes += one.text.substr(0, 120) + "\n";
      }
    }
    if (item.task != "needle") {
      all.text = fmt::format("{:.0f}", sum);
    } else {
      const Reply reduced = ask(notes.substr(0, 4 * kChunkBytes), item.question);
      all.tokens_read += reduced.tokens_read;
      all.text = reduced.text;
    }
    all.seconds = watch.seconds();
    return all;
  }

 private:
  static std::string tail(const std::string& text, std::size_t bytes) {
    std::size_t at = text.size() - bytes;
    while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0U) == 0x80U) ++at;
    return text.substr(at);
  }

  Reply ask(const std::string& text, const std::string& question) {
    llm::Request request;
    request.id = "eval";
    request.messages = {rlm::message("user", fmt::format("{}\n\nQuestion: {}", text, question))};
    request.model = model_.info().name;
    request.max_tokens = 32;
    return complete(model_, std::move(request));
  }

  static Reply complete(llm::Completer& completer, llm::Request request) {
    request.sampling.temperature = 0;
    const auto sink = std::make_shared<llm::CollectingSink>();
    completer.start(std::move(request), sink, {});
    const auto events = sink->wait();
    Reply reply{.text = llm::text_of(events)};
    if (const auto* done = std::get_if<llm::Done>(&events.back()))
      reply.tokens_read = done->usage.prompt_tokens;
    if (const auto* failed = std::get_if<llm::Failed>(&events.back()))
      progress("error: " + failed->error.message);
    return reply;
  }

  base::SystemClock clock_;
  inference::LocalModel& model_;
  std::unique_ptr<rlm::RecursiveLanguageModel> engine_;
};

nlohmann::ordered_json row_of(const Context& context, const std::string& task, const std::string& method,
                              const Score& score) {
  const double n = score.n, p = score.right / n;
  const auto [low, high] = wilson(score.right, n);
  return {{"context_tokens", context.tokens},
          {"task", task},
          {"method", method},
          {"n", score.n},
          {"right", score.right},
          {"accuracy", std::round(1e3 * p) / 1e3},
          {"ci95", fmt::format("{:.2f}-{:.2f}", low, high)},
          {"tokens_read", std::round(score.tokens / n)},
          {"seconds", std::round(1e3 * score.seconds / n) / 1e3}};
}

struct Method {
  std::string name;
  int items;  // of each task; 0: not run
  std::function<Reply(const Context&, const Item&)> answer;
};

void measure(Result& result, const Context& context, const Method& method) {
  for (const char* task : {"needle", "count", "sum"}) {
    Score score;
    for (const Item& item : context.items) {
      if (item.task != task || score.n == method.items) continue;
      const Reply reply = method.answer(context, item);
      const bool right = is_right(item, reply.text);
      ++score.n;
      score.right += right ? 1 : 0;
      score.tokens += static_cast<double>(reply.tokens_read);
      score.seconds += reply.seconds;
      progress(fmt::format("{} tokens, {}, {}: {} (wanted {}, said \"{}\")", context.tokens, method.name,
                           task, right ? "right" : "wrong", item.wanted, reply.text.substr(0, 60)));
    }
    if (score.n > 0) result.rows.push_back(row_of(context, task, method.name, score));
  }
}

int run(std::vector<std::string> args) {
  const bool as_json = take_flag(args, "--json");
  const std::string data = take_value(args, "--data", "data");
  const std::string sizes = take_value(args, "--sizes", "32,128,1000");
  const int items = std::stoi(take_value(args, "--items", "10"));
  const int truncated = std::stoi(take_value(args, "--truncated", "3"));
  const int mapped = std::stoi(take_value(args, "--mapped", "1"));
  const int mapped_max = std::stoi(take_value(args, "--mapped-max-kilotokens", "32"));
  const double kv_ratio = std::stod(take_value(args, "--kv-ratio", "8"));
  const auto passages = static_cast<std::size_t>(std::stoi(take_value(args, "--passages", "3")));
  Result result;
  result.name = "eval rlm";
  result.seed = std::stoi(take_value(args, "--seed", "1"));
  const char* path = std::getenv("PERMUTATION_MODEL");
  if (path == nullptr || !args.empty() || !std::filesystem::is_directory(data + "/gutenberg")) {
    progress(
        "usage: ./dev eval rlm --data DIR (with gutenberg/*.txt) [--sizes 32,128,1000] [--items N] "
        "[--truncated N] "
        "[--mapped N] [--mapped-max-kilotokens N] [--kv-ratio R] [--passages N] [--seed S] [--json]");
    return 2;
  }
  const base::SystemClock clock;
  inference::LocalModelOptions options;
  options.name = "smollm2-135m-instruct";
  options.path = path;
  options.kv_ratio = kv_ratio;
  const auto model = inference::LocalModel::load(options, clock);
  if (!model) {
    progress("error: " + model.error().message);
    return 1;
  }
  Runner runner(**model, kv_ratio, passages);
  for (const std::string& size : split(sizes)) {
    const int kilo_tokens = std::stoi(size);
    std::mt19937 random(static_cast<unsigned>(result.seed + kilo_tokens));
    Context context = make_context(data, kilo_tokens, items, random);
    context.tokens = (*model)->count_tokens(context.text);
    measure(result, context,
            {"rlm", items, [&](const Context& c, const Item& i) { return runner.by_rlm(c, i); }});
    measure(result, context, {"truncation", truncated, [&](const Context& c, const Item& i) {
                                return runner.by_truncation(c, i);
                              }});
    if (kilo_tokens <= mapped_max) {
      measure(result, context, {"every chunk", mapped, [&](const Context& c, const Item& i) {
                                  return runner.by_mapping(c, i);
                                }});
    }
  }
  print(result, as_json);
  return 0;
}

}  // namespace
}  // namespace pmt::evals

int main(int argc, char** argv) {
  return pmt::evals::run({argv + 1, argv + argc});
}
