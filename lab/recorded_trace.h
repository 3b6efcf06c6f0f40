// Recorded traffic as prompts that can be sent: Mooncake's traces (Qin and others, FAST '25) say for each request when
// it came, how long prompt and answer were, and by which hash each block of 512 tokens of its prompt goes. Equal
// hashes are equal beginnings. There are no texts: each block's is made from its hash, so two prompts have as much
// of a beginning in common as the recorded ones had, in blocks, and the same text in every run.
//
// Where one message of a prompt ends and the next begins isn't recorded. They are cut where recorded prompts part:
//   system     up to the first place at which three or more go on in different ways
//   the rest   user and assistant in turn, a message from one place at which two part to the next; the last is the
//              user's (a short answer stands before it where it would be the assistant's)
// So whatever beginning is shared is shared in whole messages. In a conversation each turn leaves one such place: the
// last block of a turn is not full, and the next turn has another in its place.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/result.h"

namespace pmt::lab {

inline constexpr std::int64_t kRecordedBlockTokens = 512;

struct RecordedRequest {
  double at_s = 0;
  std::int64_t prompt_tokens = 0, answer_tokens = 0;
  std::vector<std::uint64_t> blocks;  // hashes; the last one's block may not be full
};

struct RecordedTrace {
  std::string file;  // below the folder that was asked for
  std::vector<RecordedRequest> requests;
};

/// One JSON object a line, in the order of their times. Errors: kInvalidArgument, naming the line.
base::Result<std::vector<RecordedRequest>> parse_recorded(std::string_view lines);

/// The first of mooncake_traces/NAME_trace.jsonl that is in the folder. Errors: none is there (kNotFound, saying where
/// they come from), or as parse_recorded.
base::Result<RecordedTrace> read_recorded(const std::string& folder, const std::vector<std::string>& names);

struct SampleOptions {
  std::size_t requests = 100;  // as many, or all where there are fewer
  std::int64_t prompt_tokens_max = 1'000'000;
  unsigned seed = 1;
};
/// All requests that share a first block come or none do, until there are enough; in their order. So what they share
/// with one another isn't thinned out, as it would be if each were drawn by itself.
std::vector<RecordedRequest> sample_recorded(const std::vector<RecordedRequest>& all,
                                             const SampleOptions& options);

class RecordedPrompts {
 public:
  struct Options {
    double scale = 1;  // of every length
    /// So many tokens for the block of this hash: the same text whenever it is asked for.
    std::function<std::string(std::uint64_t hash, std::int64_t tokens)> text;
  };
  RecordedPrompts(const std::vector<RecordedRequest>& requests, Options options);

  /// As /v1/chat/completions takes them. Requires: one of the requests that this was made from.
  nlohmann::json messages(const RecordedRequest& request) const;
  /// The same for two that may be turns of one conversation: the system message's blocks and the one after.
  std::vector<std::uint64_t> conversation_of(const RecordedRequest& request) const;
  /// One at least.
  std::int64_t scaled(std::int64_t tokens) const;

 private:
  struct Node {
    std::map<std::uint64_t, std::size_t> next;  // by hash, places in nodes_
    bool ends = false;                          // a request does
  };
  struct Cuts {
    std::vector<std::size_t> ends;  // of the messages, in blocks
    bool has_system = false;        // the first is the system's
  };
  Cuts cuts_of(const RecordedRequest& request) const;
  std::string text_of(const RecordedRequest& request, std::size_t from, std::size_t to) const;

  const Options options_;
  std::vector<Node> nodes_;  // a tree; the first is its root
};

}  // namespace pmt::lab
