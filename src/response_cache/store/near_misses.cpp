#include "response_cache/store/near_misses.h"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "response_cache/store/canonical_key.h"

namespace pmt::response_cache {
namespace {

constexpr const char* kNames[RequestParts::kCount] = {"model",
                                                      "system prompt",
                                                      "earlier messages",
                                                      "temperature and other sampling",
                                                      "seed",
                                                      "length, stop and n",
                                                      "tools",
                                                      "response format",
                                                      "kv, knowledge, versions or other fields"};

constexpr std::size_t kModelBytes = 100;

class Hash {
 public:
  Hash& add(std::string_view text) {
    const std::size_t more = std::hash<std::string_view>()(text);
    value_ = (value_ ^ more) * 0x9e3779b97f4a7c15U;
    value_ ^= value_ >> 32U;
    return *this;
  }
  template <class T>
  Hash& number(const T& value) {
    return add(fmt::format("{}", value));
  }
  Hash& json(const nlohmann::json& value) {
    return add(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  }
  std::uint64_t wide() const { return value_ | 1U; }  // 0: an empty place
  std::uint32_t narrow() const { return static_cast<std::uint32_t>(value_); }

 private:
  std::uint64_t value_ = 0x853c49e6748fea9bU;
};

std::uint32_t hash_of(const llm::Sampling& s) {
  Hash hash;
  hash.number(s.temperature).number(s.top_p).number(s.top_k).number(s.min_p);
  hash.number(s.frequency_penalty).number(s.presence_penalty);
  for (const auto& [token, bias] : s.logit_bias) hash.number(token).number(bias);
  return hash.narrow();
}

std::uint32_t hash_of_length(const llm::Request& r) {
  Hash hash;
  hash.number(r.max_tokens.value_or(-1)).number(r.n).number(r.logprobs.value_or(-1)).number(r.echo);
  for (const auto& stop : r.stop) hash.add(stop);
  return hash.narrow();
}

/// What only some engines and other servers' clients ask for.
void add_seldom(Hash& hash, const llm::Request& r) {
  hash.add(r.other_options).number(static_cast<int>(r.speculation)).number(static_cast<int>(r.surface));
  const llm::ThinkingOptions& thinking = r.thinking;
  hash.add(thinking.effort).add(thinking.template_variables).number(thinking.budget_tokens.value_or(-1));
  hash.number(thinking.on ? (*thinking.on ? 1 : 0) : -1);
  for (const llm::EngineKey& one : r.options.keys()) hash.add(one.engine).json(one.taken);
}

/// Of its first 8, 16, ... bytes, as far as it has so many.
std::array<std::uint32_t, 12> beginnings_of(std::string_view text) {
  std::array<std::uint32_t, 12> out{};
  std::size_t length = 8;
  for (std::uint32_t& hash : out) {
    if (length > text.size()) break;
    hash = Hash().add(text.substr(0, length)).narrow() | 1U;
    length *= 2;
  }
  return out;
}

/// "" where both are the same.
template <class T>
std::string both(const char* name, const T& there, const T& here) {
  if (there == here) return "";
  const auto text = [](const T& value) {
    if constexpr (requires { value.has_value(); }) {
      return value ? fmt::format("{}", *value) : std::string("none");
    } else {
      return fmt::format("{:.4g}", value);
    }
  };
  return fmt::format("{}{} there, {} here", name, text(there), text(here));
}

std::string alike(const RequestParts::Said& there, const RequestParts::Said& here) {
  std::size_t bytes = 0, length = 8;
  for (std::size_t i = 0; i < there.system_beginnings.size(); ++i, length *= 2) {
    if (there.system_beginnings[i] == 0 || there.system_beginnings[i] != here.system_beginnings[i]) break;
    bytes = length;
  }
  return bytes == 0 ? "" : fmt::format("alike for the first {} bytes", bytes);
}

/// What is known of a part that differs, for brackets; "" where that is all.
std::string detail(std::size_t part, const RequestParts::Said& there, const RequestParts::Said& here) {
  switch (part) {
    case 0:
      return fmt::format("{} there, {} here", there.model, here.model);
    case 1:
      return alike(there, here);
    case 3: {
      std::string out = both("temperature ", there.temperature, here.temperature);
      const std::string top_p = both("top_p ", there.top_p, here.top_p);
      if (!out.empty() && !top_p.empty()) out += "; ";
      return out + top_p;
    }
    case 4:
      return both("", there.seed, here.seed);
    case 5:
      return both("max_tokens ", there.max_tokens, here.max_tokens);
    default:
      return "";
  }
}

}  // namespace

RequestParts parts_of(const llm::Request& r, std::string_view model, const nlohmann::json& versions) {
  Hash question, system, earlier, tools, rest;
  std::string system_text;
  question.add(r.tenant).add(r.cache.name_space).number(static_cast<int>(r.endpoint));
  question.add(r.prompt).add(r.suffix);
  for (const auto token : r.prompt_tokens) question.number(token);
  for (std::size_t i = 0; i < r.messages.size(); ++i) {
    const llm::Message& message = r.messages[i];
    const bool is_system = message.role == "system" || message.role == "developer";
    Hash& part = i + 1 == r.messages.size() ? question : is_system ? system : earlier;
    if (&part == &system) system_text += message.content;
    part.add(message.role).add(message.content).add(message.name).add(message.tool_call_id);
    for (const llm::ToolCall& call : message.tool_calls) part.add(call.sent);
    if (!message.reasoning.empty()) part.add(message.reasoning);
    if (!message.more.empty()) part.add(message.more);
  }
  for (const llm::Tool& tool : r.tools) tools.add(tool.sent);
  tools.add(r.tool_choice.sent);
  if (r.sent) rest.add(canonical_sent(*r.sent)).add(canonical_own(*r.sent));
  rest.number(r.kv.ratio.value_or(0))
      .number(static_cast<int>(r.kv.mode))
      .number(r.kv.best_effort ? 1 : 0)
      .json(versions);
  for (const auto& domain : r.knowledge) rest.add(domain);
  add_seldom(rest, r);
  return {.question = question.wide(),
          .parts = {Hash().add(model).narrow(), system.narrow(), earlier.narrow(), hash_of(r.sampling),
                    Hash().number(r.sampling.seed ? std::int64_t{*r.sampling.seed} : -1).narrow(),
                    hash_of_length(r), tools.narrow(), Hash().add(r.response_format.sent).narrow(),
                    rest.narrow()},
          .said = {.model = std::string(model.substr(0, kModelBytes)),
                   .temperature = r.sampling.temperature,
                   .top_p = r.sampling.top_p,
                   .seed = r.sampling.seed,
                   .max_tokens = r.max_tokens,
                   .system_beginnings = beginnings_of(system_text)}};
}

void NearMisses::add(const RequestParts& parts) {
  const std::lock_guard lock(mutex_);
  auto& set = sets_[parts.question % kSets];
  const auto same = [&](const RequestParts& one) {
    return one.question == parts.question && one.parts == parts.parts;
  };
  auto found = std::find_if(set.begin(), set.end(), same);
  if (found == set.end()) found = set.end() - 1;  // the oldest makes room
  std::rotate(set.begin(), found, found + 1);
  set.front() = parts;
}

std::string NearMisses::explain(const RequestParts& parts) const {
  const RequestParts* nearest = nullptr;
  std::string differs;
  const std::lock_guard lock(mutex_);
  int least = RequestParts::kCount + 1;
  for (const RequestParts& one : sets_[parts.question % kSets]) {
    if (one.question != parts.question) continue;
    int count = 0;
    for (std::size_t i = 0; i < one.parts.size(); ++i) count += one.parts[i] != parts.parts[i] ? 1 : 0;
    if (count >= least) continue;
    least = count;
    nearest = &one;
  }
  if (nearest == nullptr) return "no request with this question was cached";
  for (std::size_t i = 0; i < nearest->parts.size(); ++i) {
    if (nearest->parts[i] == parts.parts[i]) continue;
    differs += (differs.empty() ? "" : ", ") + std::string(kNames[i]);
    if (const std::string more = detail(i, nearest->said, parts.said); !more.empty())
      differs += " (" + more + ")";
  }
  if (differs.empty())
    return "the same request was asked, but its entry is not there: evicted, purged or never stored";
  return "the nearest request that was cached differs in: " + differs;
}

}  // namespace pmt::response_cache
