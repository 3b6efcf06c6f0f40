// The knowledge cache in front of a local model: what a request's text recalls is written into the request
// (llm::Recall), and what was recalled is written into its report.
//
// Where wording doesn't tell whether a fact answers, the model is asked (fact_judge.h), if it can judge.
// Where no fact answers, the passages of documents that may are shown to the model (documents/attach.h): found by words,
// and where several are, put in order by nearness as well.
//
// A request that names no domain passes through untouched. One whose text names nothing that was taught goes
// to the model as it came, so its answer has the same bits as without the domain. A gate that needs to embed
// a question waits for the embedder; if that fails, phrasings that were taught word for word still fire, and words alone
// put passages in order.
// Thread-safety: start from any thread. `inner`, `library` and the embedder outlive every request.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/usage_counter.h"
#include "knowledge_cache/document_request.h"
#include "knowledge_cache/documents/attach.h"
#include "knowledge_cache/documents/pack_reader.h"
#include "knowledge_cache/fact_judge.h"
#include "knowledge_cache/library.h"
#include "knowledge_cache/pack_references.h"
#include "llm/completer.h"

namespace pmt::knowledge_cache {

/// Embeds without blocking; `done` is called once, from any thread.
using EmbedLater = std::function<void(std::vector<std::string> texts, base::CancelToken cancel,
                                      std::function<void(base::Result<std::vector<float>>)> done)>;

struct RecallStats {
  std::uint64_t requests = 0;  // that named a domain, or hold a word of a name that one teaches
  std::uint64_t named = 0;     // of those: a taught thing was named (gate 1)
  std::uint64_t fired = 0;     // of those: a fact was recalled (gate 2)
  std::uint64_t facts = 0;     // that were recalled
  std::uint64_t slots_read = 0;
  std::uint64_t judged = 0;  // facts of which the model was asked whether they answer
  std::uint64_t embed_failures = 0;
  std::uint64_t shown = 0;     // requests to which passages of documents were shown
  std::uint64_t passages = 0;  // that were shown
  std::uint64_t packs = 0;     // requests whose passages came as packs
  double gate_ms = 0;          // in the gates, the embedder's time included
};

/// What a recalled fact makes of the request. Exposed for tests.
void write_recall(const Recalled& recalled, llm::Request& request);

class RecallingCompleter final : public llm::Completer {
 public:
  struct Options {
    EmbedLater embed;                     // null: word for word only
    base::UsageCounter* usage = nullptr;  // counts facts recalled, by surface
    std::string model = {};               // for whom: its name as served
    /// How passages of documents come where a request doesn't say; kAuto: as packs as far as they are exact.
    DocumentUse documents = DocumentUse::kAuto;
    /// Whether the model is asked about unsure facts where a request doesn't say: one that can judge.
    bool judges = false;
  };
  RecallingCompleter(llm::Completer& inner, Library& library, const base::Clock& clock, Options options);

  void start(llm::Request&& request, std::shared_ptr<llm::Sink> sink, base::CancelToken cancel) override;
  RecallStats stats() const;
  PackReader& packs() { return packs_; }

 private:
  struct Waiting;
  void embed(const std::shared_ptr<Waiting>& waiting, std::vector<std::string> texts,
             std::function<void()> done);
  void decide(const std::shared_ptr<Waiting>& waiting, const std::vector<float>& rows);
  /// Has the model say which of the unsure facts answers, if any, and goes on.
  void judge(const std::shared_ptr<Waiting>& waiting, Recalled recalled);
  /// Writes what fired into the request and its report; where nothing did, documents may say something.
  void settle(const std::shared_ptr<Waiting>& waiting, const Recalled& recalled);
  /// Finds what of documents is shown, perhaps by the embedder, and goes on.
  void attach(const std::shared_ptr<Waiting>& waiting);
  void show(Waiting& waiting, Candidates found, const std::vector<float>& rows);
  void go_on(const std::shared_ptr<Waiting>& waiting);
  void hand_over(const std::shared_ptr<Waiting>& waiting, bool just_read);

  llm::Completer& inner_;
  Library& library_;
  const base::Clock& clock_;
  const Options options_;
  PackReader packs_;
  FactJudge judge_;
  std::atomic<std::uint64_t> requests_{0}, named_{0}, fired_{0}, facts_{0}, slots_read_{0}, judged_{0},
      embed_failures_{0}, shown_{0}, passages_{0}, with_packs_{0};
  std::atomic<std::int64_t> gate_ns_{0};
};

}  // namespace pmt::knowledge_cache
