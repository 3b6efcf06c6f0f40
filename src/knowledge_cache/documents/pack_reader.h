// Has the model read passages by themselves, each behind the prompt's beginning, so that requests find them read (as
// packs, note 0046) wherever they show them.
//
// What was read lies with the model's prefixes, in memory and on the disk, and goes as those do. So what is known here
// is a guess: a request whose packs were gone says so, and they are read again.
// Thread-safety: any thread. Cost: reading is a prompt of the passage's length, once.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "llm/completer.h"

namespace pmt::knowledge_cache {

class PackReader {
 public:
  /// `model` outlives it and every request.
  explicit PackReader(llm::Completer& model) : model_(model) {}

  /// Whether the passages of this request can be packs: nothing but a system's message stands before them, and packs
  /// were found lately where they had been read.
  bool may_serve(const llm::Request& request);

  /// Has read what of the request's passages isn't known, then calls `done` (from any thread, or at once) with whether
  /// anything was read. What can't be read is left to the request.
  void prepare(const llm::Request& request, const base::CancelToken& cancel, std::function<void(bool)> done);
  /// The request ran: whether its passages were found read, right after `prepared` or later.
  struct Outcome {
    bool found = false, just_read = false;
  };
  void settle(const llm::Request& request, const Outcome& outcome);

  using Progress = std::function<void(std::size_t done, std::size_t of)>;
  /// Reads them for requests without a system's message. Waits for it. Errors: the model's.
  base::Status read(const std::string& tenant, const std::vector<std::string>& passages,
                    const Progress& progress);

 private:
  static base::Digest key_of(const llm::Request& request, const std::string& passage);
  std::vector<std::string> unknown_of(const llm::Request& request) const;
  void add(const base::Digest& key);

  llm::Completer& model_;
  mutable std::mutex mutex_;
  std::set<base::Digest> known_;  // under mutex_
  std::atomic<int> pause_{0};     // requests that don't ask for packs, after some weren't found
};

}  // namespace pmt::knowledge_cache
