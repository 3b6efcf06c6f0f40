// [[upstream]]: other servers that models are asked of.
//
//   [[upstream]]
//   name = "sonar"                        # its models are served as "sonar/..."
//   base_url = "https://api.perplexity.ai"  # what is asked is at base_url + /chat/completions, /messages, /responses
//   base_urls = ["http://a:8000/v1", "http://b:8000/v1"]  # instead: like servers behind the one name (note 0033)
//   balance = "prefix"                    # of base_urls: a prompt goes to the server that has read most of it, as
//                                         # long as that isn't overloaded; or "least_busy"
//   probe_interval_s = 5                  # of base_urls: how often a server that is down is looked at
//   api = "chat"                          # or "messages", "responses": the one that it speaks
//   max_tokens_unset = 8192               # sent by "messages" where the caller named no limit
//   api_key_env = "PERPLEXITY_API_KEY"    # the environment variable that holds the key; unset: none is sent
//   models = { sonar = "sonar-pro" }      # as we serve it = as it calls it; or a list of names
//   embeddings = ["small"]                # the same of models that embed
//   ca_file = "/etc/ssl/my-ca.pem"        # whom to trust for https; unset: the system's authorities
//   stream = true                         # false: for a server that can't stream
//   max_completion_tokens = false         # true: send the length under OpenAI's newer name
//   prompt_cache_key = false              # true: set from the conversation, where the caller set none
//   prompt_cache_key_requests = 15        # so many with one key, in as many seconds as
//   prompt_cache_key_seconds = 60         # this says, are read by one of the provider's servers
//   inject_cache_control = false          # true: Anthropic's cache breakpoints, where the caller set none
//   connect_timeout_s = 10
//   first_byte_timeout_s = 60             # of a streamed answer
//   stall_timeout_s = 60                  # between two pieces
//   total_timeout_s = 600                 # of one attempt
//   concurrent_max = 256                  # requests at once to each model of a server; more wait
//   queue_max = 1024                      # waiting: above, 503
//   retries = 2                           # more attempts at the same model
//   backoff_s = 0.25                      # doubles, with jitter
//   backoff_max_s = 8
//   retry_after_max_s = 20                # a server that asks for a longer wait is left alone so long
//   fallbacks = ["other/model"]           # served models to ask when it fails, in this order
//   cooldown_failures = 3                 # attempts in a row that fail, until it is left alone; 0: never
//   cooldown_s = 30
//
// Thread-safety: plain data.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "base/result.h"
#include "upstream/prompt_cache.h"
#include "upstream/remote_options.h"
#include "upstream/server_pool.h"

namespace pmt::app {

struct UpstreamConfig {
  unsigned line = 0;  // of the config file
  std::string name;
  std::string base_url;                         // "" where there are several
  std::vector<upstream::PoolServer> base_urls;  // several like servers; empty where there is one
  upstream::Balance balance = upstream::Balance::kPrefix;
  double probe_interval_s = 5;
  std::string api_key_env;
  std::map<std::string, std::string> models;  // as served, without the provider -> the upstream's own name
  std::map<std::string, std::string> embeddings;  // the same of models that embed
  std::string ca_file;
  std::vector<std::string> fallbacks;
  upstream::PromptCacheOptions prompt_cache;
  upstream::RemoteOptions remote;  // the settings that all its models share

  /// For people: its URL, or how many servers it has.
  std::string where() const;
};

/// One [[upstream]] table. Errors: kInvalidArgument with file, line, key.
base::Result<UpstreamConfig> read_upstream(const toml::table& table, const std::string& file);

/// Errors: kInvalidArgument with the file and both lines, if two models of any kinds would be served by one name.
base::Status check_names(const std::vector<UpstreamConfig>& upstreams, const std::string& file);

/// Everything that one of its models needs, of either kind; the key is read from the environment now. Errors:
/// the variable is not set.
base::Result<upstream::RemoteOptions> remote_options(const UpstreamConfig& config, const std::string& model);

}  // namespace pmt::app
