// [cache.shared]: one response cache for several servers, through Redis or Valkey (note 0012).
//
//   [cache.shared]
//   url = "redis://10.0.0.5:6379"  # redis://[user[:password]@]host[:port][/database]; any node of a Cluster;
//                                # rediss:// for TLS, unix:///run/redis.sock (redis/url.h)
//   password = ""                # rather than in the url
//   password_file = ""           # or here: its first line
//   tls_ca = ""                  # PEM, with rediss://: whose certificates are good; unset: the system's
//   tls_certificate = ""         # PEM, with tls_key: our own, for a Redis that asks for one
//   tls_key = ""
//   tls_server_name = ""         # what Redis's certificate is for; unset: the host that is connected to
//   tls_verify = true            # false: any certificate will do
//   prefix = "permutation"       # of every key there: servers that share have the same
//   timeout_ms = 100             # of one command; the most that a Redis that hangs costs, once
//   retry_ms = 1000              # between two probes while it is away
//   lease_ms = 5000              # how long a server that died while computing keeps the others waiting
//   wait_ms = 10000              # at most, for an answer that another server is computing
//   reach_ms = 2000              # at most, for the other servers to have applied a purge
//   ttl_s_max = 604800           # a value's life there, if its own is longer or has no end
//   entry_bytes_max = 4194304    # a larger one is not shared
//
// Thread-safety: pure functions.
#pragma once

#include <string>

#include <toml++/toml.h>

#include "base/result.h"
#include "response_cache/shared/redis_store.h"

namespace pmt::app {

/// Errors: kInvalidArgument with file, line, key.
base::Result<response_cache::RedisOptions> read_shared_cache(const toml::table& table,
                                                             const std::string& file);

}  // namespace pmt::app
