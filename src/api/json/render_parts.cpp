#include "api/json/render_parts.h"

#include <cmath>
#include <string_view>

#include <fmt/format.h>

#include "api/json/json_writer.h"
#include "base/json_text.h"
#include "base/utf8.h"
#include "base/version.h"
#include "llm/json_sum.h"

namespace pmt::api {
namespace {

void append_cache(std::string& out, const llm::CacheReport& cache) {
  ObjectWriter w(out);
  w.string("status", llm::to_string(cache.status));
  if (!cache.key.empty()) w.string("key", cache.key);
  w.real("age_s", cache.age_s);
  if (cache.similarity) w.real("similarity", *cache.similarity);
  w.integer("tokens_saved", cache.tokens_saved);
  w.real("usd_saved", cache.usd_saved);
  if (!cache.why.empty()) w.string("why", cache.why);
  w.end();
}

void append_kv(std::string& out, const llm::KvReport& kv) {
  ObjectWriter w(out);
  w.string("mode", kv.mode);
  w.real("ratio_target", kv.ratio_target);
  w.real("ratio_achieved", kv.ratio_achieved);
  w.integer("bytes", kv.bytes);
  w.integer("bytes_f16", kv.bytes_f16);
  w.integer("tokens_kept", kv.tokens_kept);
  w.integer("tokens_total", kv.tokens_total);
  w.integer("prefix_tokens_reused", kv.prefix_tokens_reused);
  if (!kv.prefix_source.empty()) w.string("prefix_source", kv.prefix_source);
  if (!kv.prefix_key.empty()) w.string("prefix_key", kv.prefix_key);
  // Nothing was looked for in an exact prompt; an engine's sum of several prompts has no one place.
  if (kv.mode != "exact" && !kv.question.empty()) w.string("question", kv.question);
  if (!kv.scores.empty()) w.string("scores", kv.scores);
  append_strings(w.member("safe_for"), kv.safe_for);
  if (!kv.compression_off.empty()) w.string("compression", "off: " + kv.compression_off);
  if (!kv.cells.empty()) w.string("cells", kv.cells);
  w.end();
}

void append_knowledge(std::string& out, const llm::KnowledgeReport& knowledge) {
  ObjectWriter w(out);
  append_strings(w.member("domains"), knowledge.domains);
  w.integer("slots_read", knowledge.slots_read);
  append_strings(w.member("facts"), knowledge.facts);
  if (knowledge.judged > 0) w.integer("judged", knowledge.judged);
  w.end();
}

void append_timing(std::string& out, const llm::Timing& timing) {
  ObjectWriter w(out);
  const auto ms = [&w](std::string_view name, double v) {  // microseconds are as fine as it is measured
    w.real(name, std::round(v * 1000) / 1000);
  };
  ms("queue_ms", timing.queue_ms);
  ms("prefill_ms", timing.prefill_ms);
  ms("decode_ms", timing.decode_ms);
  w.end();
}

/// JSON has no infinity: OpenAI writes an impossible token so.
void append_logprob(std::string& out, std::optional<float> v) {
  if (!v) {
    out += "null";
  } else if (!std::isfinite(*v)) {
    out += "-9999.0";
  } else {
    fmt::format_to(std::back_inserter(out), "{}", *v);
  }
}

void append_bytes(std::string& out, std::string_view token) {
  out += '[';
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (i > 0) out += ',';
    append_int(out, static_cast<unsigned char>(token[i]));
  }
  out += ']';
}

void append_candidate(ObjectWriter& w, const std::string& token, std::optional<float> logprob) {
  w.string("token", token);
  append_logprob(w.member("logprob"), logprob);
  append_bytes(w.member("bytes"), token);
}

/// A token that is half a character would look like any other such half: OpenAI spells out its bytes.
std::string token_text(const std::string& token) {
  if (is_utf8(token)) return token;
  std::string out = "bytes:";
  for (const char c : token)
    fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(c));
  return out;
}

template <class F>
void append_array(std::string& out, const std::vector<llm::TokenLogprob>& tokens, F&& append_one) {
  out += '[';
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) out += ',';
    append_one(tokens[i]);
  }
  out += ']';
}

void append_top(std::string& out, const llm::TokenLogprob& token) {
  if (!token.logprob) {
    out += "null";
    return;
  }
  ObjectWriter w(out);
  for (const auto& [candidate, logprob] : token.top) {
    // Not member(): a token is foreign text and needs escaping.
    std::string name;
    append_string(name, token_text(candidate));
    append_logprob(w.member(std::string_view(name).substr(1, name.size() - 2)), logprob);
  }
  w.end();
}

/// In OpenAI's words, where the provider has said it in its own; else it stands in the details already.
void append_prompt_cache(ObjectWriter& w, const llm::Usage& usage) {
  if (!usage.cached_prompt_tokens || has_member(usage.details, "prompt_tokens_details")) return;
  ObjectWriter details(w.member("prompt_tokens_details"));
  details.integer("cached_tokens", *usage.cached_prompt_tokens);
  if (usage.cache_written_tokens > 0) details.integer("cache_write_tokens", usage.cache_written_tokens);
  details.end();
}

}  // namespace

void append_members(ObjectWriter& w, const llm::MembersText& members) {
  w.members(members);
}

bool has_member(const llm::MembersText& members, std::string_view name) {
  return !members.empty() && base::value_of(base::members_of(members), name).data() != nullptr;
}

llm::MembersText joined(const llm::MembersText& first, const llm::MembersText& second) {
  if (first.empty() || second.empty()) return first + second;
  llm::JsonSum sum(llm::JsonSum::Rule::kLast);
  sum.add(first);
  sum.add(second);
  return sum.text();
}

void append_texts(std::string& out, const std::vector<std::string>& texts) {
  out += '[';
  for (std::size_t i = 0; i < texts.size(); ++i) out.append(i > 0 ? "," : "").append(texts[i]);
  out += ']';
}

void append_reason(ObjectWriter& w, const llm::ChoiceEnd& end) {
  w.string("finish_reason", end.said.empty() ? to_string(end.reason) : end.said);
}

void append_fingerprint(ObjectWriter& w, const llm::MembersText& more) {
  if (!has_member(more, "system_fingerprint")) w.string("system_fingerprint", system_fingerprint());
}

void append_usage(std::string& out, const llm::Usage& usage, const llm::Report& report) {
  ObjectWriter w(out);
  w.integer("prompt_tokens", usage.prompt_tokens);
  w.integer("completion_tokens", usage.completion_tokens);
  w.integer("total_tokens", usage.total_tokens.value_or(usage.prompt_tokens + usage.completion_tokens));
  if (report.kv) {
    ObjectWriter details(w.member("prompt_tokens_details"));
    details.integer("cached_tokens", report.kv->prefix_tokens_reused);
    details.end();
  } else {
    append_prompt_cache(w, usage);
  }
  if (usage.reasoning_tokens > 0 && !has_member(usage.details, "completion_tokens_details")) {
    ObjectWriter details(w.member("completion_tokens_details"));
    details.integer("reasoning_tokens", usage.reasoning_tokens);
    details.end();
  }
  append_members(w, usage.details);
  w.end();
}

void append_input_usage(std::string& out, std::int64_t tokens) {
  ObjectWriter w(out);
  w.integer("prompt_tokens", tokens);
  w.integer("total_tokens", tokens);
  w.end();
}

void append_report(std::string& out, const llm::Report& report) {
  ObjectWriter w(out);
  if (report.cache) append_cache(w.member("cache"), *report.cache);
  if (report.kv) append_kv(w.member("kv"), *report.kv);
  if (report.speculation) {
    ObjectWriter s(w.member("speculation"));
    s.integer("drafted", report.speculation->drafted);
    s.integer("accepted", report.speculation->accepted);
    if (report.speculation->drafted_by_model > 0) {
      s.integer("drafted_by_model", report.speculation->drafted_by_model);
      s.integer("accepted_by_model", report.speculation->accepted_by_model);
    }
    s.end();
  }
  if (report.knowledge) append_knowledge(w.member("knowledge"), *report.knowledge);
  if (report.timing) append_timing(w.member("timing"), *report.timing);
  if (!report.engine.is_null()) append_json(w.member("engine"), report.engine);
  if (!report.upstream.is_null()) append_json(w.member("upstream"), report.upstream);
  if (!report.ignored.empty()) append_strings(w.member("ignored"), report.ignored);
  if (!report.unfollowed.empty()) append_strings(w.member("unfollowed"), report.unfollowed);
  w.end();
}

void append_token_logprobs(std::string& out, const std::vector<llm::TokenLogprob>& tokens) {
  append_array(out, tokens, [&out](const llm::TokenLogprob& token) {
    ObjectWriter t(out);
    append_candidate(t, token.token, token.logprob);
    out += ",\"top_logprobs\":[";
    for (std::size_t i = 0; i < token.top.size(); ++i) {
      if (i > 0) out += ',';
      ObjectWriter c(out);
      append_candidate(c, token.top[i].first, token.top[i].second);
      c.end();
    }
    out += ']';
    t.end();
  });
}

void append_chat_logprobs(std::string& out, const std::vector<llm::TokenLogprob>& tokens) {
  ObjectWriter w(out);
  append_token_logprobs(w.member("content"), tokens);
  w.end();
}

void append_text_logprobs(std::string& out, const std::vector<llm::TokenLogprob>& tokens, bool with_top,
                          std::int64_t& offset) {
  ObjectWriter w(out);
  append_array(w.member("tokens"), tokens,
               [&out](const llm::TokenLogprob& t) { append_string(out, token_text(t.token)); });
  append_array(w.member("token_logprobs"), tokens,
               [&out](const llm::TokenLogprob& t) { append_logprob(out, t.logprob); });
  if (with_top) {
    append_array(w.member("top_logprobs"), tokens,
                 [&out](const llm::TokenLogprob& t) { append_top(out, t); });
  } else {
    w.null("top_logprobs");
  }
  append_array(w.member("text_offset"), tokens, [&out, &offset](const llm::TokenLogprob& t) {
    append_int(out, offset);
    offset += base::characters(t.token);
  });
  w.end();
}

namespace {

/// To a billionth of one, never as 9.15e-05: people read it.
std::string dollars(double usd) {
  std::string text = fmt::format("{:.9f}", usd);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

}  // namespace

void add_cache_headers(net::Headers& headers, const std::optional<llm::CacheReport>& cache) {
  static const llm::CacheReport kBypass;
  const llm::CacheReport& c = cache ? *cache : kBypass;
  headers.emplace_back("x-permutation-cache", llm::to_string(c.status));
  headers.emplace_back("x-permutation-cache-key", c.key);
  headers.emplace_back("x-permutation-tokens-saved", std::to_string(c.tokens_saved));
  headers.emplace_back("x-permutation-usd-saved", dollars(c.usd_saved));
  const bool from_cache = c.status == llm::CacheStatus::kHit || c.status == llm::CacheStatus::kSemanticHit ||
                          c.status == llm::CacheStatus::kStale;
  if (from_cache) headers.emplace_back("age", std::to_string(static_cast<std::int64_t>(c.age_s)));
}

const std::string& system_fingerprint() {
  static const std::string kFingerprint = std::string("permutation-") + base::kVersion;
  return kFingerprint;
}

}  // namespace pmt::api
