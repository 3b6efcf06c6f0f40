#include "upstream/usage_reader.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <vector>

#include <fmt/format.h>

#include "base/json_text.h"

namespace pmt::upstream {
namespace {

using Members = std::vector<base::JsonMember>;
using Names = std::initializer_list<std::string_view>;

constexpr std::int64_t kTokensMax = 1'000'000'000'000;  // sums of some of them fit

std::optional<std::int64_t> figure(const Members& members, std::string_view name) {
  const auto read = base::json_integer(base::value_of(members, name));
  if (!read || *read < 0) return std::nullopt;
  return std::min(*read, kTokensMax);
}

/// The largest of those that are said: where several are, the others are an older word with nothing behind it.
std::optional<std::int64_t> largest(const Members& members, Names names) {
  std::optional<std::int64_t> found;
  for (const std::string_view name : names) found = std::max(found, figure(members, name));
  return found;
}

Members object_at(const Members& members, std::string_view name) {
  const std::string_view value = base::value_of(members, name);
  return value.starts_with('{') ? base::members_of(value) : Members();
}

template <std::size_t kCount>
llm::MembersText without(const Members& members, const std::array<std::string_view, kCount>& told) {
  llm::MembersText out;
  for (const base::JsonMember& member : members) {
    if (std::find(told.begin(), told.end(), member.name) != told.end()) continue;
    out.append(out.empty() ? "" : ",").append(member.whole);
  }
  return out;
}

llm::MembersText details_of(const Members& members, bool chat) {
  static constexpr std::array<std::string_view, 3> kChat = {"prompt_tokens", "completion_tokens",
                                                            "total_tokens"};
  static constexpr std::array<std::string_view, 7> kOther = {"input_tokens",
                                                             "output_tokens",
                                                             "total_tokens",
                                                             "input_tokens_details",
                                                             "output_tokens_details",
                                                             "cache_read_input_tokens",
                                                             "cache_creation_input_tokens"};
  return chat ? without(members, kChat) : without(members, kOther);
}

}  // namespace

llm::Usage read_usage(std::string_view usage) {
  llm::Usage out;
  if (!usage.starts_with('{')) return out;
  const Members members = base::members_of(usage);
  const bool chat = base::is_null(base::value_of(members, "input_tokens")) ||
                    !base::is_null(base::value_of(members, "prompt_tokens"));
  const Members input = object_at(members, chat ? "prompt_tokens_details" : "input_tokens_details");
  const Members output = object_at(members, chat ? "completion_tokens_details" : "output_tokens_details");
  out.prompt_tokens = figure(members, chat ? "prompt_tokens" : "input_tokens").value_or(0);
  out.completion_tokens = figure(members, chat ? "completion_tokens" : "output_tokens").value_or(0);
  std::optional<std::int64_t> read =
      std::max(largest(input, {"cached_tokens"}),
               largest(members, {"cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens"}));
  const std::optional<std::int64_t> written =
      std::max(largest(input, {"cache_write_tokens", "cache_creation_tokens"}),
               largest(members, {"cache_creation_input_tokens"}));
  if (!read && (written || figure(members, "prompt_cache_miss_tokens"))) read = 0;
  if (!chat && base::is_null(base::value_of(members, "input_tokens_details")))
    out.prompt_tokens += read.value_or(0) + written.value_or(0);
  if (read) out.cached_prompt_tokens = std::min(*read, out.prompt_tokens);
  out.cache_written_tokens =
      std::min(written.value_or(0), out.prompt_tokens - out.cached_prompt_tokens.value_or(0));
  out.reasoning_tokens = std::min(largest(output, {"reasoning_tokens"}).value_or(0), out.completion_tokens);
  const std::int64_t total = figure(members, "total_tokens").value_or(0);
  if (chat && total > 0 && total != out.prompt_tokens + out.completion_tokens) out.total_tokens = total;
  out.details = details_of(members, chat);
  return out;
}

std::optional<std::string> usage_self_test() {
  static constexpr std::array<std::string_view, 5> kSaid = {
      R"({"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":5,"cache_write_tokens":3}})",
      R"({"input_tokens":9,"output_tokens":2,"input_tokens_details":{"cached_tokens":5,"cache_write_tokens":3}})",
      R"({"input_tokens":1,"output_tokens":2,"cache_read_input_tokens":5,"cache_creation_input_tokens":3})",
      R"({"prompt_tokens":9,"completion_tokens":2,"prompt_cache_hit_tokens":5,"prompt_cache_miss_tokens":4})",
      R"({"prompt_tokens":9,"completion_tokens":2,"cached_tokens":5})"};
  for (const std::string_view said : kSaid) {
    const llm::Usage usage = read_usage(said);
    const bool writes = said.find("\":3") != std::string_view::npos;
    if (usage.prompt_tokens != 9 || usage.completion_tokens != 2 || usage.cached_prompt_tokens != 5 ||
        usage.cache_written_tokens != (writes ? 3 : 0))
      return fmt::format("{} was read as {} read and {} written of {} tokens", said,
                         usage.cached_prompt_tokens.value_or(-1), usage.cache_written_tokens,
                         usage.prompt_tokens);
  }
  return std::nullopt;
}

}  // namespace pmt::upstream
