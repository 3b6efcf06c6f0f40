#include "text/english.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "base/check.h"
#include "text/embedded_file.h"

namespace pmt::text {

// In the generated file.
// NOLINTBEGIN(readability-identifier-naming)
extern const EmbeddedFile k_files[];
extern const std::size_t k_files_count;
// NOLINTEND(readability-identifier-naming)

std::vector<std::string_view> english(std::string_view name) {
  const EmbeddedFile* const end = k_files + k_files_count;
  const EmbeddedFile* const found =
      std::find_if(k_files, end, [&](const EmbeddedFile& file) { return name == file.name; });
  CHECK(found != end);
  const std::string_view file(found->bytes, found->size);
  std::vector<std::string_view> lines;
  for (std::size_t at = 0; at < file.size();) {
    const std::size_t stop = std::min(file.find('\n', at), file.size());
    const std::string_view line = file.substr(at, stop - at);
    if (!line.empty() && line.front() != '#') lines.push_back(line);
    at = stop + 1;
  }
  return lines;
}

std::vector<std::string_view> english_files() {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < k_files_count; ++i) names.emplace_back(k_files[i].name);
  return names;
}

std::vector<std::string_view> fields_of(std::string_view line, char between) {
  std::vector<std::string_view> fields;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t stop = std::min(line.find(between, at), line.size());
    if (stop > at) fields.push_back(line.substr(at, stop - at));
    at = stop + 1;
  }
  return fields;
}

WordSet english_words(std::string_view name) {
  WordSet words;
  for (const std::string_view line : english(name)) {
    for (const std::string_view word : fields_of(line)) words.insert(word);
  }
  return words;
}

WordMap english_names(std::string_view name) {
  WordMap names;
  for (const std::string_view line : english(name)) {
    const std::size_t colon = line.find(": ");
    CHECK(colon != std::string_view::npos);
    for (const std::string_view word : fields_of(line.substr(colon + 2)))
      names.emplace(word, line.substr(0, colon));
  }
  return names;
}

}  // namespace pmt::text
