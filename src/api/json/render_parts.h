// The parts that whole answers and streamed chunks share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/json/json_writer.h"
#include "llm/event.h"
#include "net/http.h"

namespace pmt::api {

/// The members of `members`, none of which the object has yet.
void append_members(ObjectWriter& w, const llm::MembersText& members);

/// Whether one of them has this name.
bool has_member(const llm::MembersText& members, std::string_view name);

/// Both; of a name that both have, the second's value counts.
llm::MembersText joined(const llm::MembersText& first, const llm::MembersText& second);

/// JSON texts as an array.
void append_texts(std::string& out, const std::vector<std::string>& texts);

/// finish_reason, in an upstream's own word where it has one.
void append_reason(ObjectWriter& w, const llm::ChoiceEnd& end);

/// Ours, unless an upstream's own is among `more`.
void append_fingerprint(ObjectWriter& w, const llm::MembersText& more);

/// `"usage"`'s value. With a kv report, prompt_tokens_details.cached_tokens says how many came from the
/// prefix.
void append_usage(std::string& out, const llm::Usage& usage, const llm::Report& report);

/// The same of what has only a prompt: embeddings, rankings.
void append_input_usage(std::string& out, std::int64_t tokens);

/// `"permutation"`'s value: what each part of the report says, nothing for parts that nobody filled.
void append_report(std::string& out, const llm::Report& report);

/// An array of token, logprob, bytes, top_logprobs.
void append_token_logprobs(std::string& out, const std::vector<llm::TokenLogprob>& tokens);

/// One choice's logprobs in the chat shape: the same as `content`.
void append_chat_logprobs(std::string& out, const std::vector<llm::TokenLogprob>& tokens);

/// The completions shape: tokens, token_logprobs, top_logprobs (null unless `with_top`), text_offset.
/// `offset`: characters of the choice's text before the first token; moved on past the last.
void append_text_logprobs(std::string& out, const std::vector<llm::TokenLogprob>& tokens, bool with_top,
                          std::int64_t& offset);

/// x-permutation-* and, where the answer came out of the cache, Age.
void add_cache_headers(net::Headers& headers, const std::optional<llm::CacheReport>& cache);

/// What built the answers: OpenAI's system_fingerprint.
const std::string& system_fingerprint();

}  // namespace pmt::api
