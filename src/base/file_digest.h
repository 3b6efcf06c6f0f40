// The SHA-256 of a file's bytes, by which models and packs are told apart.
// Thread-safety: any thread. Errors: kIo, it can't be read, or OpenSSL can't hash. Cost: reads the file once (0.1 s for 100 MB), 1 MiB
// of memory.
#pragma once

#include <filesystem>

#include "base/hash.h"
#include "base/result.h"

namespace pmt::base {

Result<Digest> digest_of_file(const std::filesystem::path& file);

/// Of its size, its first 32 MiB (of a model: all that it says of itself) and 64 pieces of 16 KiB, evenly apart, the last
/// among them. It tells apart files that came about apart, as two trainings of one model; not two that somebody made
/// to be alike. Cost: 33 MiB are read, whatever the size (30 ms from memory).
Result<Digest> fingerprint_of_file(const std::filesystem::path& file);

}  // namespace pmt::base
