// A file that is learnt as a document: text as it stands, a PDF by poppler's pdftotext.
// Thread-safety: any thread. Errors: kIo, the file or the program; kUnprocessable, pdftotext isn't installed (says what
// to install) or can't read the file. Cost: the file; a PDF starts a process.
#pragma once

#include <string>

#include "base/result.h"
#include "knowledge_cache/documents/document.h"

namespace pmt::app {

/// Whether a file of this name and content is one, and no list of facts (JSON lines).
bool is_document(const std::string& file, const std::string& content);

/// `content`: of the file. A PDF's text is asked for here.
base::Result<knowledge_cache::Document> document_of_file(const std::string& file, std::string content);

}  // namespace pmt::app
