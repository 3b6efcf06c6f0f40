#include "api/routes/entry_list.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "api/json/cache_entry_json.h"
#include "api/json/json_writer.h"
#include "base/hash.h"
#include "text/plain_words.h"

namespace pmt::api {
namespace {

using nlohmann::json;
using response_cache::Entry;
using response_cache::Key;

constexpr std::size_t kTwinsMax = 20;  // of an answer that are shown; all are counted

/// An entry's place in the list.
struct Place {
  std::int64_t stored = 0;
  Key key;
};
bool newer(const Place& a, const Place& b) {
  return std::pair(b.stored, b.key) < std::pair(a.stored, a.key);
}

/// One answer: the same text for the same tenant.
struct Answer {
  Place latest;
  base::Digest digest;
  std::size_t entries = 0;
};

/// What an entry is listed under.
base::Digest line_of(const Key& key, const Entry& entry, bool fold) {
  if (!fold) return key;
  const auto* recorded = std::get_if<response_cache::RecordedAnswer>(&entry.value.content);
  const std::string content = recorded != nullptr ? "answer " + response_cache::answer_text(*recorded)
                                                  : "value " + to_text(std::get<json>(entry.value.content));
  return base::sha256(entry.meta.tenant + '\n' + content);
}

std::vector<Answer> find_answers(const response_cache::ResponseCache& cache, const base::Clock& clock,
                                 const EntryListQuery& query) {
  std::map<base::Digest, Answer> found;
  cache.visit({}, [&](const Key& key, const Entry& entry) {
    if (!query.text.empty()) {
      json item = entry_json(key, entry, clock.now());
      item["question"] = entry.meta.question;
      if (!holds_text(item, query.text)) return;
    }
    const base::Digest digest = line_of(key, entry, query.fold);
    Answer& answer = found[digest];
    const Place place{entry.stored_unix_s, key};
    if (answer.entries == 0 || newer(place, answer.latest)) answer.latest = place;
    answer.digest = digest;
    ++answer.entries;
  });
  std::vector<Answer> out;
  for (auto& [digest, answer] : found) out.push_back(answer);
  std::ranges::sort(out, [](const Answer& a, const Answer& b) { return newer(a.latest, b.latest); });
  return out;
}

struct Line {
  Place place;
  json item;
  std::uint64_t hits = 0;  // since the entry is in memory
  double usd_saved = 0;
};

/// `hits`: null of an entry that is only on disk, where nobody counts.
Line used_line(Place place, json item, const std::optional<std::uint64_t>& hits,
               const response_cache::StoreOptions& meta) {
  Line out{.place = place, .item = std::move(item), .hits = hits.value_or(0)};
  const auto times = static_cast<double>(out.hits);
  out.usd_saved = times * meta.usd;
  out.item["hits"] = hits ? json(*hits) : json();
  out.item["tokens_saved"] = hits ? json(times * static_cast<double>(meta.tokens)) : json();
  out.item["usd_saved"] = hits ? json(out.usd_saved) : json();
  return out;
}

json with_twins(std::vector<Line> lines, std::size_t entries) {
  std::ranges::sort(lines, [](const Line& a, const Line& b) { return newer(a.place, b.place); });
  std::uint64_t hits = 0;
  double usd_saved = 0;
  for (const Line& line : lines) {
    hits += line.hits;
    usd_saved += line.usd_saved;
  }
  json item = std::move(lines.front().item);
  item["answer"] = {{"hits", hits}, {"usd_saved", usd_saved}};
  item["twins"] = json::array();
  for (std::size_t i = 1; i < std::min(lines.size(), kTwinsMax + 1); ++i)
    item["twins"].push_back(std::move(lines[i].item));
  item["entries"] = entries;
  return item;
}

}  // namespace

bool holds_text(const json& item, const std::string& text) {
  if (text.empty()) return true;
  return text::lower(to_text(item)).find(text::lower(text)) != std::string::npos;
}

EntryList list_entries(const response_cache::ResponseCache& cache, const base::Clock& clock,
                       const EntryListQuery& query) {
  const std::vector<Answer> answers = find_answers(cache, clock, query);
  EntryList out;
  out.lines = answers.size();
  for (const Answer& answer : answers) out.entries += answer.entries;
  const std::size_t begin = std::min(answers.size(), query.page * query.page_size);
  const std::size_t end = std::min(answers.size(), begin + query.page_size);
  std::map<base::Digest, std::vector<Line>> shown;
  for (std::size_t i = begin; i < end; ++i) shown[answers[i].digest];
  if (shown.empty()) return out;
  cache.visit({}, [&](const Key& key, const Entry& entry) {
    const auto lines = shown.find(line_of(key, entry, query.fold));
    if (lines == shown.end()) return;
    const Place place{entry.stored_unix_s, key};
    lines->second.push_back(used_line(place, listed_json(entry_json(key, entry, clock.now()), entry.meta),
                                      cache.tiers().hits(key), entry.meta));
  });
  for (std::size_t i = begin; i < end; ++i) {
    std::vector<Line>& lines = shown[answers[i].digest];
    if (!lines.empty()) out.items.push_back(with_twins(std::move(lines), answers[i].entries));
  }
  return out;
}

}  // namespace pmt::api
