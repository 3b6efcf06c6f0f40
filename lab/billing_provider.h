// A provider that bills as the real ones do, for measuring what caches save: OpenAI's chat endpoint over HTTP on
// loopback, with no model behind it. Time is the request's own (`metadata.at_s`, seconds as text), and so is the
// length of the answer (`metadata.answer_tokens`), so hours of traffic are billed in seconds. A token is 4 bytes.
//
// Two kinds, told by the model's name, after what the providers publish of theirs:
//   "automatic"  as OpenAI: prefixes of 1,024 tokens and more, in steps of 128, of requests that came to the same of
//                its servers within 5 minutes. Which server is chosen by the prompt's first 256 tokens and
//                prompt_cache_key; above 15 requests a minute of one such pair the rest goes elsewhere.
//   "marked"     as Anthropic: up to a cache_control breakpoint, at most 4 of them, 1,024 tokens and more, 5 minutes
//                after the last use. A breakpoint finds what one of up to 20 parts before it wrote. Writing costs
//                1.25 times the input.
// Thread-safety: any thread may call anything.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "net/http_server.h"

namespace pmt::lab {

/// US dollars a million tokens.
struct ProviderPrices {
  double input, cached, write, output;
};
inline constexpr ProviderPrices kAutomaticPrices{.input = 2.5, .cached = 0.25, .write = 2.5, .output = 10};
inline constexpr ProviderPrices kMarkedPrices{.input = 3, .cached = 0.3, .write = 3.75, .output = 15};

struct Billed {
  std::int64_t requests = 0, prompt = 0, read = 0, written = 0, answer = 0;  // tokens
  double usd = 0;
  Billed& operator+=(const Billed& other);
};

class BillingProvider {
 public:
  /// Ends the process on failure.
  BillingProvider();
  ~BillingProvider();
  BillingProvider(const BillingProvider&) = delete;
  BillingProvider& operator=(const BillingProvider&) = delete;

  const std::string& url() const { return url_; }
  /// Of all requests since the last reset().
  Billed billed() const;
  /// Caches and bills are empty.
  void reset();

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::unique_ptr<net::HttpServer> server_;
  std::string url_;
};

/// The least that these requests could cost at those prices, in this order: every beginning that was ever asked
/// before is read from a cache, at no price of writing, and what was asked before word for word is free.
class BestBill {
 public:
  explicit BestBill(const ProviderPrices& prices);
  ~BestBill();
  void add(const nlohmann::json& request);
  Billed billed() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace pmt::lab
