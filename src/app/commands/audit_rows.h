// The audit's rows as this server is wired: which caches are built, what counts their use, where they are
// off.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "audit/audit.h"

namespace pmt::app {

struct AuditSources {
  bool cache_enabled = true;
  bool rlm_enabled = true;
  std::optional<std::string> cache_self_test;  // what failed at start, if anything
  const base::UsageCounter* cache_usage = nullptr;
  std::optional<std::string> knowledge_self_test;
  const base::UsageCounter* knowledge_usage = nullptr;
  std::optional<std::string> compression_self_test;
  const base::UsageCounter* compression_usage = nullptr;
  std::optional<std::string> pages_off = {};  // why no local model has our pages; none: one does
  std::optional<std::string> speculation_self_test;
  const base::UsageCounter* speculation_usage = nullptr;
  std::optional<std::string> prefix_self_test;
  const base::UsageCounter* prefix_usage = nullptr;
  bool prefix_disk = false;  // whether prefixes are kept on a disk
  const base::UsageCounter* prefix_disk_usage = nullptr;
  bool upstreams = false;  // whether there are any
  std::optional<std::string> prompt_cache_self_test;
  const base::UsageCounter* prompt_cache_usage = nullptr;
};

/// The counters must outlive the rows.
std::vector<audit::CacheRow> audit_rows(const AuditSources& sources);

}  // namespace pmt::app
