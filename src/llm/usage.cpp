#include "llm/usage.h"

#include <algorithm>

namespace pmt::llm {

std::int64_t plain_prompt_tokens(const Usage& usage) {
  return std::max<std::int64_t>(
      0, usage.prompt_tokens - usage.cached_prompt_tokens.value_or(0) - usage.cache_written_tokens);
}

void add(Usage& to, const Usage& more) {
  to.prompt_tokens += more.prompt_tokens;
  to.completion_tokens += more.completion_tokens;
  if (more.cached_prompt_tokens)
    to.cached_prompt_tokens = to.cached_prompt_tokens.value_or(0) + *more.cached_prompt_tokens;
  to.cache_written_tokens += more.cache_written_tokens;
  to.reasoning_tokens += more.reasoning_tokens;
}

}  // namespace pmt::llm
