// An upstream's `tool_calls`, whole or in pieces -> llm::CallPiece, and each call whole at the end.
//
// Servers tell pieces apart by index, by id, by both, or not at all; they repeat ids and names, or leave them out:
//   an id that is new begins a new call, unless the piece has no name and goes on with a call that has one;
//   without an id the index decides, or else the last call goes on: until a piece brings another name, or the
//   same one after the call's arguments are whole.
// What a client gets is regular: an index from 0 on, id, type and name once, in the call's first piece (an id that
// the server doesn't give is made), arguments as a string even where they come as an object. What else the server
// says of a call stays as it was written.
// Requires: the text was checked (base/json.h). Errors: kBadGateway, not such calls.
// Thread-safety: none; one reader reads one choice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_text.h"
#include "base/result.h"
#include "llm/event.h"
#include "llm/json_sum.h"

namespace pmt::upstream {

class CallReader {
 public:
  /// `seed`: of the ids that are made.
  explicit CallReader(std::string seed) : seed_(std::move(seed)) {}

  /// `calls`: an array's text. `whole`: each item is a call, nothing goes on.
  base::Status take(std::string_view calls, bool whole, std::vector<llm::CallPiece>& out);
  /// All of them, whole. Errors: one that has no name.
  base::Result<std::vector<std::string>> calls() const;

 private:
  struct Call {
    std::optional<std::int64_t> index;  // the server's
    std::string id;                     // the server's; "": it gave none
    std::string head;                   // members: id and type
    std::string body_name;              // "function", "custom"; "": it has no such member
    std::string name;                   // quoted
    std::string arguments;
    llm::JsonSum body{llm::JsonSum::Rule::kJoined};
    llm::JsonSum more{llm::JsonSum::Rule::kLast};
  };
  struct Piece;
  static base::Result<Piece> read(std::string_view item);
  Call* find(const Piece& piece);
  Call& begin(const Piece& piece);
  void add(const Piece& piece, Call& call, bool first, llm::CallPiece& out);

  const std::string seed_;
  std::vector<Call> calls_;
};

}  // namespace pmt::upstream
