#include "upstream/call_reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/hash.h"
#include "base/json.h"
#include "upstream/upstream_error.h"

namespace pmt::upstream {
namespace {

using base::is_null;
using base::JsonMember;

constexpr std::size_t kCallsMax = 128;

void add_quoted_member(std::string& members, std::string_view quoted, std::string_view value) {
  if (!members.empty()) members += ',';
  members.append(quoted).append(":").append(value);
}

std::string text_or_empty(std::string_view value) {
  return base::json_string(value).value_or("");
}

bool is_text_or_null(std::string_view value) {
  return is_null(value) || value.starts_with('"');
}

/// A call's arguments are a JSON text; what isn't one yet goes on.
bool is_whole(const std::string& arguments) {
  return !arguments.empty() && base::check_json(arguments);
}

}  // namespace

/// What a piece says, all of it views into the text.
struct CallReader::Piece {
  std::optional<std::int64_t> index;
  std::string id;
  std::string_view type;       // quoted, or ""
  std::string_view body_name;  // "function" or "custom"
  std::string_view name;       // quoted, or ""
  std::string_view arguments_name = "\"arguments\"";
  std::string arguments;  // quoted; "": the piece brings none
  std::string body_more, more;
  bool says_nothing() const { return id.empty() && name.empty() && arguments.empty() && more.empty(); }
};

base::Result<CallReader::Piece> CallReader::read(std::string_view item) {
  if (!item.starts_with('{')) return garbage("a tool call");
  Piece piece;
  std::string_view body;
  for (const JsonMember& member : base::members_of(item)) {
    const bool is_body =
        member.name == "function" || (member.name == "custom" && member.value.starts_with('{'));
    if (member.name == "index") {
      if (is_null(member.value)) continue;
      piece.index = base::json_integer(member.value);
      if (!piece.index || *piece.index < 0) return garbage("a tool call's index");
    } else if (member.name == "id") {
      if (!is_text_or_null(member.value)) return garbage("a tool call's id");
      piece.id = text_or_empty(member.value);
    } else if (member.name == "type") {
      if (!is_text_or_null(member.value)) return garbage("a tool call's type");
      if (member.value.size() > 2 && member.value != "null") piece.type = member.value;
    } else if (is_body) {
      if (is_null(member.value)) continue;
      if (!member.value.starts_with('{')) return garbage("a tool call's function");
      piece.body_name = member.quoted.substr(1, member.quoted.size() - 2);
      body = member.value;
    } else {
      add_quoted_member(piece.more, member.quoted, member.value);
    }
  }
  const bool custom = piece.body_name == "custom";
  if (custom) piece.arguments_name = "\"input\"";
  for (const JsonMember& member : base::members_of(body)) {
    if (member.name == "name") {
      if (!is_text_or_null(member.value)) return garbage("a function's name");
      if (member.value.size() > 2 && member.value != "null") piece.name = member.value;
    } else if (member.name == (custom ? "input" : "arguments")) {
      if (is_null(member.value)) continue;
      piece.arguments =
          member.value.starts_with('"') ? std::string(member.value) : base::json_quoted(member.value);
    } else {
      add_quoted_member(piece.body_more, member.quoted, member.value);
    }
  }
  return piece;
}

CallReader::Call* CallReader::find(const Piece& piece) {
  const auto last = [this](auto&& fits) -> Call* {
    const auto found = std::find_if(calls_.rbegin(), calls_.rend(), fits);
    return found == calls_.rend() ? nullptr : &*found;
  };
  const bool named = !piece.name.empty();
  if (!piece.id.empty()) {
    Call* const same = last([&](const Call& call) {
      return call.id == piece.id && (!piece.index || !call.index || *piece.index == *call.index);
    });
    if (same != nullptr || (named && !calls_.empty() && !piece.index)) return same;
  }
  Call* const open = piece.index ? last([&](const Call& call) { return call.index == piece.index; })
                                 : last([](const Call&) { return true; });
  if (open == nullptr || !named || open->name.empty()) return open;
  if (open->name != piece.name) return nullptr;
  if (!piece.id.empty()) return open->id.empty() && open->arguments.empty() ? open : nullptr;
  return is_whole(open->arguments) ? nullptr : open;
}

CallReader::Call& CallReader::begin(const Piece& piece) {
  Call& call = calls_.emplace_back();
  const std::string made =
      "call_" + base::sha256(fmt::format("{}/{}", seed_, calls_.size())).hex().substr(0, 24);
  call.index = piece.index;
  call.id = piece.id;
  const bool of_function = piece.type.empty() || piece.type == "\"function\"";
  call.body_name = piece.body_name.empty() && of_function ? "function" : piece.body_name;
  const std::string type = piece.type.empty() ? '"' + call.body_name + '"' : std::string(piece.type);
  call.head =
      fmt::format("\"id\":{},\"type\":{}", base::json_quoted(piece.id.empty() ? made : piece.id), type);
  return call;
}

void CallReader::add(const Piece& piece, Call& call, bool first, llm::CallPiece& out) {
  std::string body;
  if (call.body_name.empty()) call.body_name = piece.body_name;
  if (!piece.name.empty() && call.name.empty()) add_quoted_member(body, "\"name\"", call.name = piece.name);
  const bool brings = !piece.arguments.empty() && (first || piece.arguments != "\"\"");
  if (brings || (first && !call.body_name.empty()))
    add_quoted_member(body, piece.arguments_name, brings ? piece.arguments : "\"\"");
  if (!piece.body_more.empty()) body += (body.empty() ? "" : ",") + piece.body_more;
  call.body.add(body);
  call.more.add(piece.more);
  if (brings) call.arguments += text_or_empty(piece.arguments);
  if (first) out.sent = call.head;
  if (!body.empty()) add_quoted_member(out.sent, '"' + call.body_name + '"', '{' + body + '}');
  if (!piece.more.empty()) out.sent += (out.sent.empty() ? "" : ",") + piece.more;
}

base::Status CallReader::take(std::string_view calls, bool whole, std::vector<llm::CallPiece>& out) {
  if (is_null(calls)) return {};
  if (!calls.starts_with('[')) return garbage("tool_calls");
  for (const std::string_view item : base::items_of(calls)) {
    TRY_ASSIGN(const Piece piece, read(item));
    Call* call = whole ? nullptr : find(piece);
    const bool first = call == nullptr;
    if (first && !whole && piece.says_nothing()) continue;
    if (first && calls_.size() == kCallsMax) return garbage("too many tool calls");
    if (first) call = &begin(piece);
    llm::CallPiece made{
        .index = static_cast<int>(call - calls_.data()), .id = {}, .name = {}, .arguments = {}};
    add(piece, *call, first, made);
    if (!made.sent.empty()) out.push_back(std::move(made));
  }
  return {};
}

base::Result<std::vector<std::string>> CallReader::calls() const {
  std::vector<std::string> out;
  for (const Call& call : calls_) {
    if (!call.body_name.empty() && call.name.empty()) return garbage("a tool call without a name");
    std::string text = '{' + call.head;
    if (!call.body_name.empty()) text += fmt::format(",\"{}\":{{{}}}", call.body_name, call.body.text());
    if (!call.more.empty()) text += ',' + call.more.text();
    out.push_back(text + '}');
  }
  return out;
}

}  // namespace pmt::upstream
