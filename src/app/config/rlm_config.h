// [rlm] and [unified]: the engines for long contexts.
//
//   [rlm]
//   enabled = true
//   root = "provider/model"     # writes the programs; unset: the first local model
//   leaf = "my-model"           # reads the parts; unset: the first local model
//   max_depth = 5               # of rlm_query in rlm_query
//   max_iterations = 10         # turns of a root
//   parallel = 8                # sub-calls at once
//   kv_ratio = 8                # compression of the leaf calls' keys and values, 1..64; 1: exact
//   speculation = true          # of the leaf calls
//   running_max = 16            # answers at once: above, 503
//   running_tenant_max = 0      # of them one tenant's: above, 429; 0: as many as are left for others
//   budget_calls = 10000        # of one answer's whole tree, each prompt of a batch counts
//   budget_tokens = 20000000    # a request may ask for less than this, as of the next ones
//   budget_mb = 128             # of prompts
//   budget_seconds = 3600
//   budget_usd = 1.0            # unset: no limit
//   trajectory_dir = "/var/log/rlm"  # a file of JSON lines an answer; unset: none
//   sandbox = "auto"            # auto, bubblewrap, monty
//   sandboxes_max = 32          # REPLs at once
//   sandboxes_tenant_max = 0    # of them one tenant's; 0: as many as are left for others
//   block_seconds = 30          # one block's own time
//   memory_mb = 1024            # of one REPL
//   sessions_max = 16           # that are kept from one request to the next; each may hold a REPL
//   sessions_tenant_max = 8     # of them one tenant's
//   sessions_mb = 256           # of all their contexts; the REPLs have them once more
//   session_idle_seconds = 600  # an idle one is closed after that
//
//   [unified]
//   enable_basic_kv = true      # the response cache
//   enable_continual_kv = true  # knowledge packs
//   enable_inference_kv = true  # compressed keys and values
//   ratio = 8                   # 8, 16, 32 or 64
//   rlm_context_threshold = 8000  # tokens: above, rlm answers
//
// Thread-safety: plain data.
#pragma once

#include <string>

#include <toml++/toml.h>

#include "base/result.h"
#include "pipeline/pipeline.h"
#include "rlm/engine.h"

namespace pmt::app {

struct RlmConfig {
  bool enabled = true;
  std::string root, leaf;
  rlm::Bounds bounds;
  double kv_ratio = 8;
  bool speculation = true;
  int running_max = 16, running_tenant_max = 0;
  rlm::BudgetLimits budget;
  std::string trajectory_dir;
  sandbox::SandboxOptions sandbox;
  rlm::SessionLimits sessions;
  pipeline::PipelineOptions unified;
};

/// The tables as far as they are there (null: not). Errors: kInvalidArgument with file, line, key.
base::Status read_rlm(const toml::table* rlm, const toml::table* unified, const std::string& file,
                      RlmConfig& out);

}  // namespace pmt::app
