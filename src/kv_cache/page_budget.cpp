#include "kv_cache/page_budget.h"

#include <algorithm>

namespace pmt::kv_cache {
namespace {

/// Pages that a sequence may hold in a table beyond what its tokens fill: a copied one and the last.
constexpr int kSparePages = 2;

/// Pages beyond its share that a compressed prompt takes in a table: sinks, prompt's end and best tokens.
constexpr int kTailPages = 1;

std::size_t page_count(int tokens) {
  return static_cast<std::size_t>((tokens + kernels::kPageTokens - 1) / kernels::kPageTokens);
}

struct Tables {
  std::size_t global = 0, local = 0;
};

Tables tables_of(const KvShape& shape) {
  const auto heads = static_cast<std::size_t>(shape.kv_heads);
  const std::size_t local = heads * static_cast<std::size_t>(shape.local_layers());
  return {shape.tables() - local, local};
}

std::size_t compressed_pages(const KvShape& shape, const RequestSize& request) {
  const Tables tables = tables_of(shape);
  const auto choices = static_cast<std::size_t>(request.choices);
  const auto page = static_cast<double>(kernels::f16_page_bytes(shape.head_dim));
  const bool codes = request.uncoded_tokens > 0 && request.new_tokens > request.uncoded_tokens;
  const int in_tail = codes ? request.uncoded_tokens : request.new_tokens;
  const auto coded = static_cast<double>(request.new_tokens - in_tail) * request.choices;
  const double share = static_cast<double>(shape.bytes_f16(request.prompt_tokens)) +
                       coded * static_cast<double>(shape.token_bytes_f16());
  const double prompt = share / request.ratio / page;
  const std::size_t own = page_count(in_tail) + kSparePages;
  const int tokens = request.prompt_tokens + request.new_tokens;
  const std::size_t own_local =
      std::min(own, local_pages_at_most(shape, tokens, request.step_tokens) + kSparePages);
  const auto tail = static_cast<double>((tables.global + tables.local) * kTailPages +
                                        (tables.global * own + tables.local * own_local) * choices);
  const auto tail_page = static_cast<double>(kernels::page_bytes(request.tail, shape.head_dim));
  return static_cast<std::size_t>(prompt + tail * tail_page / page) + 2;
}

}  // namespace

std::size_t local_pages_at_most(const KvShape& shape, int tokens, int step_tokens) {
  return std::min(page_count(tokens), page_count(shape.window + SequenceKv::kTruncatedMax + step_tokens) + 1);
}

std::size_t exact_pages_at_most(const KvShape& shape, int tokens, int step_tokens) {
  const Tables tables = tables_of(shape);
  return tables.global * page_count(tokens) + tables.local * local_pages_at_most(shape, tokens, step_tokens);
}

std::size_t pages_at_most(const KvShape& shape, const RequestSize& request) {
  if (request.ratio > 1) {
    // What is coded only while it is written is exact until it is longer than its tail.
    const int tail = request.uncoded_tokens > 0 ? request.uncoded_tokens + kernels::kPageTokens : 0;
    const int exact =
        std::max(request.prompt_tokens, std::min(request.prompt_tokens + request.new_tokens, tail));
    return std::max(exact_pages_at_most(shape, exact, request.step_tokens), compressed_pages(shape, request));
  }
  // Full prompt pages are shared by the choices; the last, partial one and all later ones are each choice's
  // own, and so is a window.
  const Tables tables = tables_of(shape);
  const auto choices = static_cast<std::size_t>(request.choices);
  const int tokens = request.prompt_tokens + request.new_tokens;
  const auto shared = static_cast<std::size_t>(request.prompt_tokens / kernels::kPageTokens);
  const std::size_t own = page_count(tokens) - shared;
  return tables.global * (shared + own * choices) +
         tables.local * choices * local_pages_at_most(shape, tokens, request.step_tokens);
}

int new_tokens_that_fit(const KvShape& shape, RequestSize request, std::size_t pages_max, int tokens_max) {
  int fit = 1;
  for (int more = tokens_max; more > 0; more /= 2) {  // digit by binary digit
    request.new_tokens = fit + more;
    if (pages_at_most(shape, request) <= pages_max) fit += more;
  }
  return fit;
}

}  // namespace pmt::kv_cache
