// Whether LMDB may be let near a file. It maps the file and follows every number in it: one flipped bit in a
// page's header, and the process that reads or writes there ends. So each number that LMDB would follow is
// looked at first, by code that only reads and believes nothing (note 0024):
//
//   meta pages   magic, version, page size, which of the two counts, how far the file goes
//   both trees   each page in its place, reached once, of the kind and depth said; each item inside its page
//   and
//                apart from the others; keys in order; as many pages and items as said
//   free pages   each reached by neither tree, free once
//
// What values hold isn't looked at: a record has a checksum, asked at each read.
// Thread-safety: any thread; nobody may write to the file meanwhile.
// Cost: reads all of the file but the insides of large values.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace pmt::response_cache {

/// Errors: kCorrupt (what is wrong, and in which page), kIo (it can't be opened, or is no file). An empty
/// file is whole: LMDB begins it.
base::Status check_store(const std::string& file);

/// The same in a process of its own, as nothing that happens there can happen here: a crash and more time
/// than `patience` are kCorrupt. `checker`: a program that answers `checker... FILE` as answer_store_check
/// does; empty, or if it can't be started: this process looks itself.
base::Status check_store_apart(const std::string& file, const std::vector<std::string>& checker,
                               std::chrono::milliseconds patience);

/// What such a program does: says the error, if any, on standard output, and returns its exit status.
int answer_store_check(const std::string& file);

}  // namespace pmt::response_cache
