// A document as it is kept once it is learnt: its text, and where it came from (note 0046).
// Thread-safety: plain data, pure functions. Errors name the field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pmt::knowledge_cache {

struct Document {
  std::string name;        // within its domain
  std::string media_type;  // that it came in
  std::string text;        // UTF-8; places are bytes of it
  std::string source;      // where it was learnt from
  std::int64_t learnt_unix_s = 0;
  std::int64_t revision = 1;  // counts its updates
};

struct DocumentLimits {
  std::size_t name_bytes_max = 200;
  std::size_t text_bytes_max = std::size_t{4} << 20;     // a document
  std::size_t domain_bytes_max = std::size_t{16} << 20;  // a domain's documents
  std::size_t documents_max = 1'000;                     // a domain
};

/// text/plain, text/markdown, text/html, text/csv, or "" for what its name says. HTML becomes text here.
/// Errors: kInvalidArgument: another type, no UTF-8, nothing to read; kTooLarge.
base::Result<Document> document_of(std::string name, std::string_view media_type, std::string content,
                                   const DocumentLimits& limits = {});

/// By the ending of a file's name; "" for one that is none of a document.
std::string_view media_type_of(std::string_view file_name);

}  // namespace pmt::knowledge_cache
