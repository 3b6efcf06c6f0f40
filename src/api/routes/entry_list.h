// The page's list of cached answers. Folded, entries that hold the same answer (the same question in other words, an
// engine's answer and the model's that it was made of) are one line, with the others in it.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "response_cache/response_cache.h"

namespace pmt::api {

struct EntryListQuery {
  std::string text = {};  // only entries that hold it, in any case; "": all
  std::size_t page = 0, page_size = 20;
  bool fold = false;
};

struct EntryList {
  std::size_t entries = 0, lines = 0;  // that match; what they are listed in
  /// The page's lines, the latest first, each with its `twins` and what all saved.
  nlohmann::json items = nlohmann::json::array();
};

/// Of all tenants; answers of two tenants are never one line. Cost: reads every entry, and keeps 80 bytes of each that
/// matches meanwhile: meant for people, not for programs.
EntryList list_entries(const response_cache::ResponseCache& cache, const base::Clock& clock,
                       const EntryListQuery& query);

/// Whether `item`, as text, holds `text` in any case.
bool holds_text(const nlohmann::json& item, const std::string& text);

}  // namespace pmt::api
