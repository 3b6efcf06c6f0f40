#include "knowledge_cache/packs/fact.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/json.h"
#include "base/trimmed.h"
#include "text/words.h"

namespace pmt::knowledge_cache {
namespace {

using nlohmann::json;

base::Status check_text(const char* field, const std::string& text, std::size_t bytes_max) {
  if (text.find_first_not_of(" \t\r\n") == std::string::npos)
    return base::invalid(fmt::format("\"{}\" is empty", field), field);
  if (text.size() > bytes_max) {
    return base::invalid(
        fmt::format("\"{}\" has {} bytes, at most {} are taken", field, text.size(), bytes_max), field);
  }
  if (text.find('\0') != std::string::npos)
    return base::invalid(fmt::format("\"{}\" holds a zero byte", field), field);
  return {};
}

base::Result<std::string> string_of(const json& object, const char* field) {
  const json& value = base::at(object, field);
  if (value.is_null()) return std::string();
  if (auto text = base::as_text(value)) return std::move(*text);
  if (value.is_number_integer() && std::string_view(field) == "id") return value.dump();
  return base::invalid(fmt::format("\"{}\" must be a string", field), field);
}

/// A text "The R of X is Y." asks for Y after "The R of X is".
void split_text(Fact& fact) {
  static constexpr std::string_view kVerbs[] = {" is ", " are ", " was ", " were ", ": ", " = "};
  std::string text(base::trimmed(fact.text));
  std::size_t at = std::string::npos, length = 0;
  for (const std::string_view verb : kVerbs) {
    const auto found = text.find(verb);
    if (found != std::string::npos && (at == std::string::npos || found < at)) {
      at = found;
      length = verb.size();
    }
  }
  if (at == std::string::npos) {  // the whole sentence is the answer to what it is about
    fact.prompt = text;
    fact.answer = text;
    return;
  }
  fact.prompt = text.substr(0, at + length - 1);
  fact.answer = text.substr(at + length);
  if (fact.answer.size() > 1 && fact.answer.back() == '.') fact.answer.pop_back();
  if (fact.answer.empty()) fact.answer = text;
}

class Seen {
 public:
  /// What a fact at `line` repeats; "" if nothing.
  std::string add(const Fact& fact, std::size_t line) {
    if (!fact.id.empty()) {
      const auto [at, is_new] = ids_.emplace(fact.id, line);
      if (!is_new) return fmt::format("\"id\" {} is that of line {}", fact.id, at->second);
    }
    const auto [at, is_new] = prompts_.emplace(text::folded_text(fact.prompt) + '\n' + fact.answer, line);
    if (!is_new) return fmt::format("it repeats line {}", at->second);
    return "";
  }

 private:
  std::unordered_map<std::string, std::size_t> ids_, prompts_;
};

void take(const json& object, std::size_t line, const Limits& limits, Seen& seen, ParsedFacts& out) {
  auto fact = fact_of(object, limits);
  if (!fact) {
    out.errors.push_back({line, fact.error().message});
    return;
  }
  if (out.facts.size() >= limits.facts_max) {
    out.errors.push_back({line, fmt::format("more than {} facts", limits.facts_max)});
    return;
  }
  if (std::string repeats = seen.add(*fact, line); !repeats.empty()) {
    out.errors.push_back({line, std::move(repeats)});
    return;
  }
  out.facts.push_back(std::move(*fact));
  out.lines.push_back(line);
}

}  // namespace

base::Result<Fact> fact_of(const json& object, const Limits& limits) {
  if (!object.is_object()) return base::invalid("a fact must be an object");
  static constexpr std::string_view kKnown[] = {"id", "prompt", "answer", "paraphrases", "subject", "text"};
  for (const auto& [name, value] : object.items()) {
    if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown)) {
      return base::invalid(
          fmt::format("\"{}\" is no field of a fact, which has: id, prompt, answer, paraphrases, "
                      "subject, or id and text",
                      name),
          name);
    }
  }
  Fact fact;
  TRY_ASSIGN(fact.id, string_of(object, "id"));
  TRY_ASSIGN(fact.prompt, string_of(object, "prompt"));
  TRY_ASSIGN(fact.answer, string_of(object, "answer"));
  TRY_ASSIGN(fact.subject, string_of(object, "subject"));
  TRY_ASSIGN(fact.text, string_of(object, "text"));
  if (fact.id.size() > limits.id_bytes_max)
    return base::invalid(fmt::format("\"id\" has more than {} bytes", limits.id_bytes_max), "id");
  if (std::any_of(fact.id.begin(), fact.id.end(),
                  [](unsigned char c) { return c <= ' ' || c == '/' || c == 0x7F; }))
    return base::invalid("\"id\" may not hold spaces, slashes or control characters", "id");
  if (object.contains("text")) {
    if (object.contains("prompt") || object.contains("answer"))
      return base::invalid("a fact has either \"text\", or \"prompt\" and \"answer\"", "text");
    TRY(check_text("text", fact.text, limits.prompt_bytes_max));
    split_text(fact);
  }
  TRY(check_text("prompt", fact.prompt, limits.prompt_bytes_max));
  TRY(check_text("answer", fact.answer, limits.answer_bytes_max));
  if (object.contains("subject")) TRY(check_text("subject", fact.subject, limits.prompt_bytes_max));
  fact.prompt = std::string(base::trimmed(fact.prompt));
  fact.answer = std::string(base::trimmed(fact.answer));
  const json& paraphrases = base::at(object, "paraphrases");
  if (paraphrases.is_null()) return fact;
  if (!paraphrases.is_array())
    return base::invalid("\"paraphrases\" must be a list of strings", "paraphrases");
  if (paraphrases.size() > limits.paraphrases_max)
    return base::invalid(fmt::format("\"paraphrases\" has more than {} texts", limits.paraphrases_max),
                         "paraphrases");
  for (const json& one : paraphrases) {
    auto text = base::as_text(one);
    if (!text) return base::invalid("\"paraphrases\" must be a list of strings", "paraphrases");
    fact.paraphrases.push_back(std::move(*text));
    TRY(check_text("paraphrases", fact.paraphrases.back(), limits.prompt_bytes_max));
  }
  return fact;
}

ParsedFacts parse_facts(std::string_view lines, const Limits& limits) {
  ParsedFacts out;
  Seen seen;
  std::size_t line = 0;
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', at), lines.size());
    const std::string_view text = lines.substr(at, end - at);
    at = end + 1;
    ++line;
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const auto parsed = base::parse_json(text);
    if (!parsed) {
      out.errors.push_back({line, "it is " + parsed.error().message});
      continue;
    }
    take(*parsed, line, limits, seen, out);
  }
  return out;
}

ParsedFacts facts_of(const json& array, const Limits& limits) {
  ParsedFacts out;
  Seen seen;
  std::size_t line = 0;
  for (const json& object : array) take(object, ++line, limits, seen, out);
  return out;
}

base::Status check_domain_name(std::string_view name) {
  const auto plain = [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  if (name.empty() || name.size() > 64 || name.front() == '.' ||
      !std::all_of(name.begin(), name.end(), plain)) {
    return base::invalid(
        "a domain's name has 1 to 64 letters, digits, \"-\", \"_\" or \".\", and doesn't begin with a dot",
        "domain");
  }
  return {};
}

std::string pack_key(const std::vector<float>& key) {
  float largest = 1e-9F;
  for (const float x : key) largest = std::max(largest, std::abs(x));
  std::string out(sizeof(float) + key.size(), '\0');
  const float scale = largest / 127;
  std::copy_n(reinterpret_cast<const char*>(&scale), sizeof scale, out.begin());
  // As std::lround, which is a call for each element.
  for (std::size_t i = 0; i < key.size(); ++i) {
    const float steps = key[i] / scale;
    out[sizeof scale + i] = static_cast<char>(static_cast<std::int8_t>(steps + std::copysign(0.5F, steps)));
  }
  return out;
}

std::vector<float> unpack_key(std::string_view bytes) {
  float scale = 0;
  if (bytes.size() <= sizeof scale) return {};
  std::copy_n(bytes.begin(), sizeof scale, reinterpret_cast<char*>(&scale));
  std::vector<float> key;
  key.reserve(bytes.size() - sizeof scale);
  for (const char c : bytes.substr(sizeof scale))
    key.push_back(static_cast<float>(static_cast<std::int8_t>(c)) * scale);
  return key;
}

std::size_t Phrasings::bytes() const {
  std::size_t out = 0;
  for (const auto& text : asked) out += text.size();
  for (const auto& key : keys) out += key.size() + sizeof(float);
  return out;
}

std::size_t Slot::bytes() const {
  std::size_t out = fact.id.size() + fact.prompt.size() + fact.answer.size() + fact.subject.size() +
                    fact.text.size() + mention.size() + statement.size() + source.size();
  for (const auto& text : fact.paraphrases) out += text.size();
  for (const auto& text : mention_words) out += text.size();
  return out;
}

}  // namespace pmt::knowledge_cache
