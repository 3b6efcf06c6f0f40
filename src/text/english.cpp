#include "text/english.h"

#include <algorithm>
#include <cstddef>

#include "base/check.h"

namespace pmt::text {

// In the generated file, named after the files in data/en.
// NOLINTBEGIN(readability-identifier-naming)
extern const char k_common_relations_txt[], k_following_words_txt[], k_generic_questions_txt[],
    k_relations_txt[];
extern const std::size_t k_common_relations_txt_size, k_following_words_txt_size,
    k_generic_questions_txt_size, k_relations_txt_size;
// NOLINTEND(readability-identifier-naming)

namespace {

std::string_view file_of(std::string_view name) {
  if (name == "common_relations") return {k_common_relations_txt, k_common_relations_txt_size};
  if (name == "following_words") return {k_following_words_txt, k_following_words_txt_size};
  if (name == "generic_questions") return {k_generic_questions_txt, k_generic_questions_txt_size};
  if (name == "relations") return {k_relations_txt, k_relations_txt_size};
  return {};
}

}  // namespace

std::vector<std::string_view> english(std::string_view name) {
  const std::string_view file = file_of(name);
  CHECK(!file.empty());
  std::vector<std::string_view> lines;
  for (std::size_t at = 0; at < file.size();) {
    const std::size_t end = std::min(file.find('\n', at), file.size());
    const std::string_view line = file.substr(at, end - at);
    if (!line.empty() && line.front() != '#') lines.push_back(line);
    at = end + 1;
  }
  return lines;
}

}  // namespace pmt::text
