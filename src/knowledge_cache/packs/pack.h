// A domain pack: one file a domain and model.
//
//   "pmtknow2" | body's length, 8 bytes little-endian | SHA-256 of the body, 32 bytes | body: CBOR
//   {domain, model, space, version, learnt, phrasings: [{asked, keys: int8 vectors}],
//    slots: [{fact's fields, mention, words, phrasings: an index, ...}]}
//
// Phrasings that facts share stand there once. "pmtknow1", where each slot had its own, is read too. A pack with
// documents begins with "pmtknow3" and has beside that documents: [{name, type, text, source, learnt, revision}], which
// a program that knows nothing of them must not lose.
// A file is replaced whole (base/file.h): after a crash it is the old one or the new one.
// Errors: kCorrupt for bytes that fail their checks (says which). Thread-safety: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "knowledge_cache/packs/domain.h"

namespace pmt::knowledge_cache {

std::string pack_bytes(const Domain& domain);
inline constexpr std::string_view kPackMagic = "pmtknow2";
/// A pack of this body: the magic, its length and its checksum before it.
std::string with_head(std::string_view body, std::string_view magic = kPackMagic);
base::Result<std::shared_ptr<const Domain>> domain_of(std::string_view bytes);

/// Never the same twice.
std::string new_version();

}  // namespace pmt::knowledge_cache
