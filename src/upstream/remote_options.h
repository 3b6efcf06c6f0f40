// What is set for one model of one upstream. Plain data.
#pragma once

#include <string>

#include "llm/request.h"
#include "net/url.h"

namespace pmt::upstream {

struct Timeouts {
  double connect_s = 10;
  double first_byte_s = 60;  // of a streamed answer; one that comes whole has the total
  double stall_s = 60;       // between two pieces
  double total_s = 600;      // of one attempt
};

/// Trying the same model again. Only what may go better is tried again (see is_retryable), and only as long
/// as nothing of an answer was passed on.
struct Retries {
  int attempts_more = 2;
  double backoff_s = 0.25;  // doubles with each attempt; the wait is drawn from its upper half
  double backoff_max_s = 8;
  double retry_after_max_s = 20;  // a server that asks for a longer wait isn't waited for
};

/// Leaving a model alone that keeps failing: requests fail at once (or fall back) without asking it.
struct CooldownOptions {
  int failures = 3;  // attempts in a row
  double cooldown_s = 30;
};

struct RemoteOptions {
  std::string name;                    // as served: "provider/model"
  std::string provider;                // the upstream's name in the config
  std::string model;                   // what it calls the model
  net::Url base_url;                   // what is asked is at base_url + "/chat/completions", "/messages", ...
  llm::Api api = llm::Api::kChat;      // which of them it speaks
  int max_tokens_unset = 8192;         // sent where the API wants a limit and the caller named none
  std::string api_key;                 // "": none is sent. Never logged, never in an error
  std::string api_key_env;             // where it came from, for errors
  bool stream = true;                  // false: always asks for the whole answer at once
  bool max_completion_tokens = false;  // the length under OpenAI's newer name
  Timeouts timeouts;
  Retries retries;
  CooldownOptions cooldown;
  int concurrent_max = 256;  // asked at once; more wait
  int queue_max = 1024;      // waiting: above, kUnavailable
  std::size_t answer_bytes_max = 64ULL << 20;
};

}  // namespace pmt::upstream
