// The domains that one model was taught, and the room's face: packs in a folder (packs/pack_folder.h) held in memory
// as snapshots, each tenant's apart.
//
//   learn: lock -> prepare -> keys -> merge -> write -> examine
//                  teach/teacher.h                      teach/examiner.h
//
// Invariants: 1. a change is on the disk before it is in memory, and requests see all of it or nothing;
// 2. one writer a domain at a time, over processes too: a second one waits its turn; 3. a pack that isn't used is told
// of. Thread-safety: any thread may call anything, concurrently. Errors name the domain or the fact and leave
// everything as it was. Cost: learning embeds each phrasing (3 ms); forgetting rewrites one pack.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "knowledge_cache/gate/question_keys.h"
#include "knowledge_cache/gate/recall.h"
#include "knowledge_cache/packs/pack_folder.h"
#include "knowledge_cache/teach/teacher.h"

namespace pmt::knowledge_cache {

struct LibraryOptions {
  std::string folder;      // of this model's packs; made when first needed
  std::string model_name;  // for people
  std::string model;       // the digest of its file
  Embed embed;             // null: facts are recalled word for word only
  std::string embedder;    // its name
  std::string space_path;  // where the calibration is kept
  Rarity rarity;
  BankOptions bank = {};
  Limits limits = {};
  DocumentLimits document_limits = {};
  std::function<void(const std::string&)> on_warning = [](const std::string&) {};
  std::function<void(float)> on_calibration_progress = {};
};

/// What a learning did, each figure counted by asking the gate again afterwards.
struct LearnReport {
  std::string domain, version;
  std::size_t given = 0, learnt = 0, updated = 0, known_before = 0;
  std::vector<LineError> errors;                      // facts that were left out, and why
  std::vector<Contradiction> contradictions;          // left out too
  std::size_t recalled = 0;                           // of learnt + updated: its own prompt brings it back
  std::size_t unseen_asked = 0, unseen_recalled = 0;  // by a phrasing that wasn't taught
  std::size_t others_asked = 0, others_changed = 0;   // facts known before, and what else is recalled now
  std::size_t bytes_a_fact = 0;
  double seconds = 0;
  double seconds_a_fact = 0;
};

/// What learning a document did.
struct DocumentReport {
  std::string domain, version, document;
  std::int64_t revision = 1;  // above 1: it replaced one of its name
  std::size_t bytes = 0, passages = 0;
  bool known_before = false;  // with this very text: nothing has changed
  double seconds = 0;
};

struct DomainInfo {
  std::string name, version;
  std::size_t facts = 0, things = 0, bytes = 0;
  std::int64_t learnt_unix_s = 0;
  std::size_t documents = 0, passages = 0;
};

class Library {
 public:
  using Progress = std::function<void(std::size_t done, std::size_t of)>;

  /// Reads the folder's packs. Errors: kIo for a folder that can't be read.
  static base::Result<std::unique_ptr<Library>> open(LibraryOptions options, const base::Clock& clock);

  std::vector<DomainInfo> list() const;
  /// The same with the domains of every tenant that was asked for (of_tenant).
  std::vector<DomainInfo> list_all() const;
  /// Errors: kNotFound, naming the domains that there are.
  base::Result<std::shared_ptr<const Domain>> find(const std::string& domain) const;
  base::Result<Domains> find_all(const std::vector<std::string>& domains) const;

  base::Result<LearnReport> learn(const std::string& domain, ParsedFacts facts, const std::string& source,
                                  const Progress& progress);
  /// Replaces one of its name. A domain that isn't there is made. Errors: kTooLarge, the domain would have too many
  /// or too much; kIo.
  base::Result<DocumentReport> learn_document(const std::string& domain, Document document,
                                              const std::string& source);
  base::Status forget(const std::string& domain);
  base::Status forget_fact(const std::string& domain, const std::string& id);
  base::Status forget_document(const std::string& domain, const std::string& name);

  base::Result<std::string> export_pack(const std::string& domain) const;
  /// `domain`: another name than the pack's own, or "". A domain of that name is replaced.
  base::Result<DomainInfo> import_pack(std::string_view bytes, const std::string& domain);

  /// The domains of one tenant: a library of its own in a folder of its own, so that no name, fact or memo is
  /// shared. "": this one. It lives as long as this one does.
  Library& of_tenant(const std::string& tenant);

  /// Sees what other processes changed, by renaming as store() does. Cost: one stat while nothing changed.
  void refresh();

  const Lexicon& lexicon() const { return lexicon_; }
  /// Calibrated when first needed: after a load or a learning. Null while there is none.
  std::shared_ptr<const RelationSpace> space() const { return keys_.space(); }
  const LibraryOptions& options() const { return options_; }
  /// Of the questions that were asked or taught lately.
  EmbeddingMemo& memo() { return keys_.memo(); }

 private:
  Library(LibraryOptions options, const base::Clock& clock);
  base::Status load(const std::string& domain);
  base::Result<std::shared_ptr<const Domain>> with_keys_of_this_space(std::shared_ptr<const Domain> domain);
  base::Status store(const std::shared_ptr<const Domain>& domain);
  base::Status check_room(const std::string& domain, const Documents::List& list) const;
  /// The domain with these documents in place of those of `before`, which may be null.
  base::Status store_documents(const std::string& domain, const Domain* before, Documents::List list,
                               std::shared_ptr<const Domain>& after);
  base::Result<std::vector<Slot>> slots_with_keys(Lesson lesson, const Progress& progress);
  base::Status examine(const Domain* before, const Domain& after, const std::vector<std::string>& taught,
                       LearnReport& report);

  const LibraryOptions options_;
  const base::Clock& clock_;
  const Lexicon lexicon_;
  PackFolder folder_;
  QuestionKeys keys_;
  mutable std::mutex mutex_;
  std::map<std::string, PackFolder::Stamped> domains_;       // under mutex_
  std::map<std::string, std::unique_ptr<Library>> tenants_;  // under mutex_, by tenant
};

}  // namespace pmt::knowledge_cache
