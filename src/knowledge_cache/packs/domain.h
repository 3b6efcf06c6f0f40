// A domain's slots in memory, addressed by what they are about: an immutable snapshot. Learning and
// forgetting make another one, so a request that runs keeps what it began with, and swapping domains is
// swapping pointers.
//
// The index maps each word of each thing's name to the things that have it, and each word with one letter
// left out to the words that it may have been (for one letter wrong). Thread-safety: immutable once made.
// Cost: made in 2 us a slot; a word is looked up in under 1 us whatever the number of slots.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "knowledge_cache/documents/documents.h"
#include "knowledge_cache/packs/fact.h"

namespace pmt::knowledge_cache {

/// One thing that facts are about.
struct Thing {
  std::vector<std::string> words;  // folded
  std::vector<std::size_t> slots;  // indices into Domain::slots()
};

class Domain {
 public:
  using Slots = std::vector<std::shared_ptr<const Slot>>;

  struct Origin {
    std::string name;     // of the domain
    std::string model;    // the model's digest: whose tokens and calibration the pack was made for
    std::string space;    // RelationSpace::id
    std::string version;  // changes with every change of the pack, and never comes back
    std::int64_t learnt_unix_s = 0;
  };

  /// `documents`: null where there are none.
  Domain(Origin origin, Slots slots, std::shared_ptr<const Documents> documents = nullptr);

  const Origin& origin() const { return origin_; }
  const Slots& slots() const { return slots_; }
  const std::vector<Thing>& things() const { return things_; }
  std::size_t bytes() const { return bytes_; }
  const std::shared_ptr<const Documents>& documents() const { return documents_; }

  /// Things whose name has this very word.
  const std::vector<std::size_t>& things_with(const std::string& word) const;
  /// Words of names that are one letter from this one.
  std::vector<std::string> words_near(const std::string& word) const;
  const Slot* find(std::string_view id) const;
  /// The thing with exactly this name, or null.
  const Thing* find_thing(const std::vector<std::string>& words) const;

 private:
  void index(std::size_t slot);

  Origin origin_;
  Slots slots_;
  std::shared_ptr<const Documents> documents_;
  std::vector<Thing> things_;
  std::size_t bytes_ = 0;
  std::unordered_map<std::string, std::size_t> ids_;
  std::unordered_map<std::string, std::size_t> names_;               // joined words -> thing
  std::unordered_map<std::string, std::vector<std::size_t>> words_;  // -> things
  std::unordered_map<std::string, std::vector<std::string>> shortened_;
};

}  // namespace pmt::knowledge_cache
