// The English that rooms work with: data/en/NAME.txt, embedded when the program is built. A line that begins
// with # is a comment. Another language is another folder there, and a choice here.
// Thread-safety: pure functions; the lines live as long as the program. Cost: one pass over the file, so
// callers keep what they make of it.
#pragma once

#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace pmt::text {

using WordSet = std::unordered_set<std::string_view>;
using WordMap = std::unordered_map<std::string_view, std::string_view>;

/// The lines of data/en/NAME.txt, without comments and empty ones. Requires: there is such a file.
std::vector<std::string_view> english(std::string_view name);

/// The names of all files.
std::vector<std::string_view> english_files();

/// What a line has between spaces, or another sign.
std::vector<std::string_view> fields_of(std::string_view line, char between = ' ');

/// All words of a file.
WordSet english_words(std::string_view name);

/// Of a file of lines "name: word word": each word's name.
WordMap english_names(std::string_view name);

}  // namespace pmt::text
