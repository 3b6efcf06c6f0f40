// Puts the questions of ./dev eval compression by ordinary requests, to the engine in this process or to a server:
// what is measured is what is served. Nothing here knows of scores, pages or where a question begins.
// Thread-safety: one thread. Errors: a request's, on stderr; then the process ends.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "evals/compression_tasks.h"

namespace pmt::evals {

/// "exact", "auto", "query_aware" or "query_agnostic", and how many times smaller; exact: 1.
struct Setting {
  std::string mode;
  double ratio = 1;
};

/// An answer, and what it reports of its keys and values.
struct Said {
  std::string text;
  std::string mode;      // that it came to
  std::string question;  // where it was found
  double ratio_achieved = 1;
  std::int64_t prompt_tokens = 0;
  std::int64_t prefix_tokens_reused = 0;  // of those, read for an earlier request
};

class Asker {
 public:
  virtual ~Asker() = default;
  /// Greedy.
  virtual Said ask(const Item& item, const Question& question, const Setting& setting) = 0;
  /// Of a prompt whose user's turn this is, as the model reads it.
  virtual std::int64_t prompt_tokens(const std::string& turn) = 0;
  /// That the model reads at most, its answer included.
  virtual std::int64_t context_tokens() = 0;
};

struct AskerOptions {
  std::string model;        // a GGUF; of a server's model the same file, by which tokens are counted
  std::string url = {};     // http://host:port of a server; "": the engine in this process
  std::string served = {};  // the server's name for it; "": its first
  int threads = 1;
  std::string calibration = {};  // a file, or "none": scored without; "": where the server keeps it
};
std::unique_ptr<Asker> make_asker(const AskerOptions& options);

}  // namespace pmt::evals
