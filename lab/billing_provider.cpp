#include "lab/billing_provider.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/json.h"
#include "lab/measure.h"

namespace pmt::lab {
namespace {

using nlohmann::json;

constexpr std::size_t kTokenBytes = 4;
constexpr std::int64_t kLeastTokens = 1024, kStepTokens = 128, kRouteTokens = 256;
constexpr double kLifeS = 300, kMinuteS = 60;
constexpr std::size_t kServers = 16, kOfOneAMinute = 15, kMarksMax = 4, kPartsBack = 20;

/// FNV-1a: goes on from the hash of what stands before.
constexpr std::uint64_t kHashBegin = 14695981039346656037ULL;
std::uint64_t hash_on(std::uint64_t hash, std::string_view bytes) {
  constexpr std::uint64_t kPrime = 1099511628211ULL;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
  return hash;
}

struct Part {
  std::string text;
  bool marked = false;
};

/// What a model would read of a request, in its order: tools, then messages. A text is the same as a list of one
/// text part, and a breakpoint is no part of it.
std::vector<Part> parts_of(const json& body) {
  std::vector<Part> parts;
  const auto without_mark = [](json value) {
    const bool marked = value.is_object() && value.erase("cache_control") > 0;
    return std::pair(std::move(value), marked);
  };
  for (const json& tool : base::array_at(body, "tools")) {
    auto [plain, marked] = without_mark(tool);
    parts.push_back({plain.dump(), marked});
  }
  for (const json& message : base::array_at(body, "messages")) {
    const std::string role = base::text_at(message, "role") + "\n";
    const json& content = base::at(message, "content");
    if (!content.is_array()) parts.push_back({role + base::text_at(message, "content"), false});
    for (const json& each : base::array_at(message, "content")) {
      auto [plain, marked] = without_mark(each);
      const bool text = base::text_at(plain, "type") == "text";
      parts.push_back({role + (text ? base::text_at(plain, "text") : plain.dump()), marked});
    }
    if (const json& calls = base::at(message, "tool_calls"); !calls.is_null())
      parts.back().text += calls.dump();
    if (message.contains("cache_control")) parts.back().marked = true;
  }
  return parts;
}

std::int64_t tokens_of(std::size_t bytes) {
  return static_cast<std::int64_t>((bytes + kTokenBytes - 1) / kTokenBytes);
}

/// metadata's texts.
double told(const json& body, const char* name) {
  const std::string text = base::text_at(base::at(body, "metadata"), name);
  return text.empty() ? 0 : std::stod(text);
}

double usd_of(const ProviderPrices& prices, const Billed& bill) {
  const auto at = [](std::int64_t tokens, double price) { return static_cast<double>(tokens) * price / 1e6; };
  return at(bill.prompt - bill.read - bill.written, prices.input) + at(bill.read, prices.cached) +
         at(bill.written, prices.write) + at(bill.answer, prices.output);
}

Billed with_usd(Billed bill, const ProviderPrices& prices) {
  bill.usd = usd_of(prices, bill);
  return bill;
}

/// Hashes of all beginnings by their tokens, `step` apart.
std::vector<std::uint64_t> beginnings(const std::string& text, std::int64_t step_tokens) {
  const std::size_t step = static_cast<std::size_t>(step_tokens) * kTokenBytes;
  std::vector<std::uint64_t> out;
  std::uint64_t hash = kHashBegin;
  for (std::size_t at = 0; at + step <= text.size(); at += step) {
    hash = hash_on(hash, std::string_view(text).substr(at, step));
    out.push_back(hash);
  }
  return out;
}

std::string joined(const std::vector<Part>& parts) {
  std::string text;
  for (const Part& part : parts) text += part.text;
  return text;
}

using LastUse = std::unordered_map<std::uint64_t, double>;

bool lives(const LastUse& cache, std::uint64_t hash, double at_s) {
  const auto found = cache.find(hash);
  return found != cache.end() && at_s - found->second <= kLifeS;
}

class Automatic {
 public:
  Billed bill(const json& body, double at_s) {
    const std::string text = joined(parts_of(body));
    const auto marks = beginnings(text, kStepTokens);
    LastUse& cache = servers_[server_of(text, base::text_at(body, "prompt_cache_key"), at_s)];
    Billed out{.requests = 1, .prompt = tokens_of(text.size())};
    constexpr auto kFirst = static_cast<std::size_t>(kLeastTokens / kStepTokens) - 1;
    for (std::size_t i = kFirst; i < marks.size(); ++i) {
      if (lives(cache, marks[i], at_s)) out.read = static_cast<std::int64_t>(i + 1) * kStepTokens;
    }
    for (std::size_t i = kFirst; i < marks.size(); ++i) cache[marks[i]] = at_s;
    return out;
  }

 private:
  std::size_t server_of(const std::string& text, const std::string& key, double at_s) {
    const std::uint64_t route =
        hash_on(hash_on(kHashBegin, std::string_view(text).substr(0, kRouteTokens * kTokenBytes)), key);
    std::deque<double>& lately = lately_[route];
    while (!lately.empty() && at_s - lately.front() > kMinuteS) lately.pop_front();
    const std::size_t beyond = lately.size() / kOfOneAMinute;
    lately.push_back(at_s);
    return (route + beyond) % kServers;
  }

  std::array<LastUse, kServers> servers_;
  std::unordered_map<std::uint64_t, std::deque<double>> lately_;
};

class Marked {
 public:
  /// Null where there are more breakpoints than may be.
  std::optional<Billed> bill(const json& body, double at_s) {
    const std::vector<Part> parts = parts_of(body);
    std::vector<std::uint64_t> hashes;
    std::vector<std::int64_t> tokens;
    std::vector<std::size_t> marks;
    std::uint64_t hash = kHashBegin;
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      hash = hash_on(hash_on(hash, parts[i].text), "\n");
      bytes += parts[i].text.size();
      hashes.push_back(hash);
      tokens.push_back(tokens_of(bytes));
      if (parts[i].marked) marks.push_back(i);
    }
    if (marks.size() > kMarksMax) return std::nullopt;
    Billed out{.requests = 1, .prompt = tokens_of(bytes)};
    for (const std::size_t mark : marks)
      out.read = std::max(out.read, found_before(mark, hashes, tokens, at_s));
    for (const std::size_t mark : marks) {
      if (tokens[mark] < kLeastTokens) continue;
      out.written = std::max(out.written, tokens[mark] - out.read);
      cache_[hashes[mark]] = at_s;
    }
    return out;
  }

 private:
  std::int64_t found_before(std::size_t mark, const std::vector<std::uint64_t>& hashes,
                            const std::vector<std::int64_t>& tokens, double at_s) {
    for (std::size_t back = 0; back <= std::min(mark, kPartsBack); ++back) {
      const std::size_t i = mark - back;
      if (!lives(cache_, hashes[i], at_s)) continue;
      cache_[hashes[i]] = at_s;
      return tokens[i];
    }
    return 0;
  }

  LastUse cache_;
};

std::string answer_text(const Billed& bill) {
  const json answer = {
      {"id", "r"},
      {"object", "chat.completion"},
      {"created", 1},
      {"model", "billed"},
      {"choices",
       {{{"index", 0},
         {"finish_reason", "stop"},
         {"message", {{"role", "assistant"}, {"content", "Done."}}}}}},
      {"usage",
       {{"prompt_tokens", bill.prompt},
        {"completion_tokens", bill.answer},
        {"total_tokens", bill.prompt + bill.answer},
        {"prompt_tokens_details", {{"cached_tokens", bill.read}, {"cache_write_tokens", bill.written}}}}}};
  return answer.dump();
}

}  // namespace

Billed& Billed::operator+=(const Billed& other) {
  requests += other.requests;
  prompt += other.prompt;
  read += other.read;
  written += other.written;
  answer += other.answer;
  usd += other.usd;
  return *this;
}

struct BillingProvider::State {
  net::HttpResponse answer(const std::string& body_text) {
    const auto body = base::parse_json(body_text);
    if (!body) return {400, {}, "no JSON"};
    const double at_s = told(*body, "at_s");
    const bool is_marked = base::text_at(*body, "model") == "marked";
    const std::lock_guard lock(mutex);
    std::optional<Billed> bill = is_marked ? marked.bill(*body, at_s) : automatic.bill(*body, at_s);
    if (!bill) return {400, {}, R"({"error":{"message":"more than 4 cache_control"}})"};
    bill->answer = static_cast<std::int64_t>(told(*body, "answer_tokens"));
    sum += with_usd(*bill, is_marked ? kMarkedPrices : kAutomaticPrices);
    return {200, {{"content-type", "application/json"}}, answer_text(*bill)};
  }

  std::mutex mutex;
  Automatic automatic;
  Marked marked;
  Billed sum;
};

BillingProvider::BillingProvider() : state_(std::make_unique<State>()) {
  net::ServerOptions options;
  options.port = 0;
  server_ = need(net::HttpServer::start(
      options, [this](const net::HttpRequest& request, const std::shared_ptr<net::Responder>& responder) {
        responder->send(state_->answer(request.body));
      }));
  url_ = fmt::format("http://127.0.0.1:{}", server_->port());
}

BillingProvider::~BillingProvider() = default;

Billed BillingProvider::billed() const {
  const std::lock_guard lock(state_->mutex);
  return state_->sum;
}

void BillingProvider::reset() {
  const std::lock_guard lock(state_->mutex);
  state_->automatic = {};
  state_->marked = {};
  state_->sum = {};
}

struct BestBill::State {
  ProviderPrices prices;
  std::unordered_set<std::uint64_t> beginnings;  // of a token each
  std::unordered_set<std::uint64_t> requests;
  Billed sum;
};

BestBill::BestBill(const ProviderPrices& prices) : state_(std::make_unique<State>()) {
  state_->prices = prices;
}
BestBill::~BestBill() = default;

void BestBill::add(const json& request) {
  const std::string text = joined(parts_of(request));
  if (!state_->requests.insert(hash_on(kHashBegin, text)).second) return;
  Billed bill{.requests = 1, .prompt = tokens_of(text.size())};
  std::int64_t tokens = 0;
  for (const std::uint64_t hash : beginnings(text, 1)) {
    ++tokens;
    if (!state_->beginnings.insert(hash).second) bill.read = tokens;
  }
  bill.answer = static_cast<std::int64_t>(told(request, "answer_tokens"));
  state_->sum += with_usd(bill, state_->prices);
}

Billed BestBill::billed() const {
  return state_->sum;
}

}  // namespace pmt::lab
