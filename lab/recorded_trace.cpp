#include "lab/recorded_trace.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <random>
#include <sstream>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"

namespace pmt::lab {
namespace {

using nlohmann::json;

constexpr std::size_t kWaysOfASystemText = 3, kWaysOfAMessage = 2;
// What stands for an answer that isn't recorded apart from the prompt's end.
constexpr const char* kShortAnswer = "Go on.";

base::Result<RecordedRequest> parse_line(std::string_view line) {
  TRY_ASSIGN(const json object, base::parse_json(line));
  RecordedRequest request;
  constexpr double kMs = 1e3;
  request.at_s = base::number_at(object, "timestamp").value_or(-1) / kMs;
  request.prompt_tokens = base::integer_at(object, "input_length").value_or(0);
  request.answer_tokens = base::integer_at(object, "output_length").value_or(-1);
  for (const json& hash : base::array_at(object, "hash_ids")) {
    const auto number = base::as_integer(hash);
    if (!number || *number < 0) return base::invalid("hash_ids must be whole numbers", "hash_ids");
    request.blocks.push_back(static_cast<std::uint64_t>(*number));
  }
  if (request.at_s < 0) return base::invalid("timestamp must be a number of ms", "timestamp");
  if (request.answer_tokens < 0)
    return base::invalid("output_length must be a number of tokens", "output_length");
  const auto blocks = static_cast<std::int64_t>(request.blocks.size());
  const bool fits = request.prompt_tokens > (blocks - 1) * kRecordedBlockTokens &&
                    request.prompt_tokens <= blocks * kRecordedBlockTokens;
  if (blocks == 0 || !fits)
    return base::invalid("input_length must fit hash_ids, a hash for each 512 tokens begun", "input_length");
  return request;
}

}  // namespace

base::Result<std::vector<RecordedRequest>> parse_recorded(std::string_view lines) {
  std::vector<RecordedRequest> out;
  std::size_t number = 0;
  while (!lines.empty()) {
    ++number;
    const std::size_t end = std::min(lines.find('\n'), lines.size());
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(std::min(end + 1, lines.size()));
    if (line.empty()) continue;
    auto request = parse_line(line);
    if (!request) return base::invalid(fmt::format("line {}: {}", number, request.error().message));
    if (!out.empty() && request->at_s < out.back().at_s)
      return base::invalid(fmt::format("line {}: it came before the line above", number));
    out.push_back(std::move(*request));
  }
  return out;
}

base::Result<RecordedTrace> read_recorded(const std::string& folder, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    RecordedTrace trace{.file = fmt::format("mooncake_traces/{}_trace.jsonl", name), .requests = {}};
    std::ifstream in(folder + "/" + trace.file);
    if (!in) continue;
    std::ostringstream text;
    text << in.rdbuf();
    auto requests = parse_recorded(text.str());
    if (!requests) return base::invalid(fmt::format("{}: {}", trace.file, requests.error().message));
    trace.requests = std::move(*requests);
    return trace;
  }
  return base::Error{
      base::Code::kNotFound,
      fmt::format("none of mooncake_traces/{}_trace.jsonl is in {}. They are the traces of the paper "
                  "on Mooncake (FAST '25), in its authors' repository kvcache-ai/Mooncake",
                  fmt::join(names, "|"), folder)};
}

std::vector<RecordedRequest> sample_recorded(const std::vector<RecordedRequest>& all,
                                             const SampleOptions& options) {
  std::vector<std::uint64_t> firsts;
  std::unordered_map<std::uint64_t, std::size_t> counts;
  const auto may_come = [&options](const RecordedRequest& request) {
    return request.prompt_tokens <= options.prompt_tokens_max;
  };
  for (const RecordedRequest& request : all) {
    if (may_come(request) && counts[request.blocks.front()]++ == 0) firsts.push_back(request.blocks.front());
  }
  std::mt19937_64 random(options.seed);
  for (std::size_t i = firsts.size(); i > 1; --i) std::swap(firsts[i - 1], firsts[random() % i]);
  std::unordered_set<std::uint64_t> chosen;
  std::size_t count = 0;
  for (std::size_t i = 0; i < firsts.size() && count < options.requests; ++i) {
    chosen.insert(firsts[i]);
    count += counts[firsts[i]];
  }
  std::vector<RecordedRequest> out;
  for (const RecordedRequest& request : all) {
    if (out.size() < options.requests && may_come(request) && chosen.contains(request.blocks.front()))
      out.push_back(request);
  }
  return out;
}

RecordedPrompts::RecordedPrompts(const std::vector<RecordedRequest>& requests, Options options)
    : options_(std::move(options)), nodes_(1) {
  for (const RecordedRequest& request : requests) {
    std::size_t at = 0;
    for (const std::uint64_t hash : request.blocks) {
      const auto [next, is_new] = nodes_[at].next.try_emplace(hash, nodes_.size());
      at = next->second;
      if (is_new) nodes_.emplace_back();
    }
    nodes_[at].ends = true;
  }
}

RecordedPrompts::Cuts RecordedPrompts::cuts_of(const RecordedRequest& request) const {
  Cuts cuts;
  std::size_t at = 0;
  for (std::size_t i = 0; i + 1 < request.blocks.size(); ++i) {
    at = nodes_[at].next.at(request.blocks[i]);
    const Node& node = nodes_[at];
    if (!cuts.has_system && node.next.size() >= kWaysOfASystemText) {
      cuts = {.ends = {i + 1}, .has_system = true};
    } else if (node.next.size() >= kWaysOfAMessage || node.ends) {
      cuts.ends.push_back(i + 1);
    }
  }
  cuts.ends.push_back(request.blocks.size());
  return cuts;
}

std::int64_t RecordedPrompts::scaled(std::int64_t tokens) const {
  return std::max<std::int64_t>(1, std::llround(static_cast<double>(tokens) * options_.scale));
}

std::string RecordedPrompts::text_of(const RecordedRequest& request, std::size_t from, std::size_t to) const {
  std::string out;
  for (std::size_t i = from; i < to; ++i) {
    const auto before = static_cast<std::int64_t>(i) * kRecordedBlockTokens;
    const std::int64_t tokens = std::min(kRecordedBlockTokens, request.prompt_tokens - before);
    out += options_.text(request.blocks[i], scaled(tokens));
  }
  return out;
}

nlohmann::json RecordedPrompts::messages(const RecordedRequest& request) const {
  const Cuts cuts = cuts_of(request);
  json out = json::array();
  bool users_turn = true;
  std::size_t from = 0;
  for (std::size_t i = 0; i < cuts.ends.size(); ++i) {
    const bool is_last = i + 1 == cuts.ends.size();
    const char* role = "system";
    if (i > 0 || !cuts.has_system) {
      if (is_last && !users_turn) out.push_back({{"role", "assistant"}, {"content", kShortAnswer}});
      role = users_turn || is_last ? "user" : "assistant";
      users_turn = !users_turn;
    }
    out.push_back({{"role", role}, {"content", text_of(request, from, cuts.ends[i])}});
    from = cuts.ends[i];
  }
  return out;
}

std::vector<std::uint64_t> RecordedPrompts::conversation_of(const RecordedRequest& request) const {
  const Cuts cuts = cuts_of(request);
  const std::size_t shared = (cuts.has_system ? cuts.ends.front() : 0) + 1;
  return {request.blocks.begin(),
          request.blocks.begin() + static_cast<std::ptrdiff_t>(std::min(shared, request.blocks.size()))};
}

}  // namespace pmt::lab
