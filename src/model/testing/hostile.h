// Damaged and hostile model files, made from a good one by seed, and the loading that must survive them: what
// the test in CI and the fuzzer share.
// Thread-safety: pure functions, save that try_load loads a model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pmt::model::testing {

using FileBytes = std::vector<std::byte>;

FileBytes read_file(const std::string& path);
void write_file(const std::string& path, std::span<const std::byte> bytes);

/// One to four random edits: bits, lengths and counts overwritten by numbers that break arithmetic, runs cut
/// out or doubled, the end cut off. The first `header_bytes` get most of them.
FileBytes damaged(FileBytes bytes, std::size_t header_bytes, std::uint32_t seed);

/// Loads the file as the server does, and if that works tokenizes a text, reads it, and shows every token.
/// The error's message, or "" if it loaded. Ends the process only by a bug.
std::string try_load(const std::string& path);

}  // namespace pmt::model::testing
