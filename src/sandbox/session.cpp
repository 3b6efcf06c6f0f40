#include "sandbox/session.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <fmt/format.h>

#include "sandbox/frame.h"

namespace pmt::sandbox {
namespace {

using base::Code;
using base::Error;
using nlohmann::json;

constexpr double kOpenTimeoutS = 20;
/// The program is told to stop at its limit and keeps its variables if it does; this much later it is ended.
constexpr double kGraceS = 0.5;
constexpr int kCallsToEnd = 10;  // times block_calls_max
constexpr std::size_t kContextFrameBytes = 1 << 20;
constexpr std::size_t kPieceOverhead = 16;  // of a string in JSON, about

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Where the character that holds the byte `at` begins; `at` where no character is.
std::size_t character_begin(const std::string& text, std::size_t at) {
  for (std::size_t back = 0; back < 4 && back < at; ++back) {
    if ((static_cast<unsigned char>(text[at - back]) & 0xC0U) != 0x80U) return at - back;
  }
  return at;
}

}  // namespace

struct ProcessSession::Block {
  int number = 0;
  const Call& call;
  const base::CancelToken& cancel;
  BlockResult result = {};
  double own_s = 0;
  std::size_t bytes_before = 0;
};

ProcessSession::ProcessSession(Interpreter interpreter, const Limits& limits, std::function<void()> released)
    : interpreter_(std::move(interpreter)), limits_(limits), released_(std::move(released)) {}

ProcessSession::~ProcessSession() {
  end({Code::kCancelled, ""}, 0);
}

/// A whole context in one frame would be written out three times over, and nobody could be heard meanwhile.
base::Status ProcessSession::send_context(const json& context, const Deadline& deadline) {
  json pieces = json::array();
  std::size_t bytes = 0;
  const auto send = [&](bool continues) {
    bytes = 0;
    return interpreter_.channel->send(
        {{"op", "context"}, {"pieces", std::exchange(pieces, json::array())}, {"continues", continues}},
        deadline);
  };
  const auto add = [&](const std::string& text) -> base::Status {
    for (std::size_t at = 0;;) {
      std::size_t end = std::min(text.size(), at + kContextFrameBytes - bytes);
      if (end < text.size()) end = character_begin(text, end);
      pieces.push_back(text.substr(at, end - at));
      bytes += end - at + kPieceOverhead;
      at = end;
      const bool whole = at == text.size();
      if (!whole || bytes + kPieceOverhead >= kContextFrameBytes) TRY(send(!whole));
      if (whole) return {};
    }
  };
  if (context.is_string()) {
    TRY(add(context.get_ref<const std::string&>()));
  } else {
    for (const json& part : context) TRY(add(part.get_ref<const std::string&>()));
  }
  return pieces.empty() ? base::Status{} : send(false);
}

base::Status ProcessSession::open(const SessionSetup& setup) {
  return give(setup.context,
              {{"op", "open"}, {"list", setup.context.is_array()}, {"functions", setup.functions}},
              in_seconds(kOpenTimeoutS, &setup.cancel));
}

base::Status ProcessSession::set_context(const json& context, const base::CancelToken& cancel) {
  if (!interpreter_.channel) return Error{Code::kUnavailable, "this REPL has ended"};
  wake();
  return give(context, {{"op", "renew"}, {"list", context.is_array()}}, in_seconds(kOpenTimeoutS, &cancel));
}

void ProcessSession::rest() {
  if (!interpreter_.channel) return;
  interpreter_.child.pause(true);
  resting_ = true;
}

void ProcessSession::wake() {
  if (std::exchange(resting_, false)) interpreter_.child.pause(false);
}

base::Status ProcessSession::give(const json& context, json then, const Deadline& deadline) {
  base::Status sent = send_context(context, deadline);
  if (sent) sent = interpreter_.channel->send(then, deadline);
  if (sent) {
    const auto reply = interpreter_.channel->receive(deadline);
    if (reply && reply->value("op", json()) == "ready") return {};
    sent = reply ? Error{Code::kCorrupt, "it isn't ready"} : reply.error();
  }
  end(sent.error(), 0);
  if (sent.error().code == Code::kCancelled) return sent;
  return Error{Code::kTooLarge,
               fmt::format("the context does not fit into a sandbox of {} MB: raise rlm.memory_mb",
                           limits_.memory_bytes >> 20)};
}

std::string ProcessSession::end(const Error& why, double own_s) {
  if (!interpreter_.channel) return "";
  const bool by_itself = why.code == Code::kUnavailable;
  const std::string how = interpreter_.child.end(by_itself ? 100 : 0);
  interpreter_.channel.reset();
  released_();
  switch (why.code) {
    case Code::kUnavailable:
      return fmt::format("the program ended its own process: {}", how);
    case Code::kDeadline:
      return fmt::format("the program did not stop at its limit of {:g} s and was ended after {:.1f} s",
                         limits_.block_s, own_s);
    case Code::kCorrupt:
      return fmt::format("the program wrote to the sandbox's own channel and was ended: {}", why.message);
    default:
      return fmt::format("the program was ended: {}", why.message);
  }
}

base::Status ProcessSession::answer(const CallFrame& asked, Block& block) {
  ++block.result.calls;
  if (block.result.calls > limits_.block_calls_max * kCallsToEnd) {
    return Error{Code::kExhausted,
                 fmt::format("{} calls in one block, after {} were refused", block.result.calls,
                             block.result.calls - limits_.block_calls_max)};
  }
  base::Result<json> value =
      Error{Code::kExhausted, fmt::format("a block may make {} calls: send many prompts in one "
                                          "llm_query_batched",
                                          limits_.block_calls_max)};
  if (block.result.calls <= limits_.block_calls_max) value = block.call(asked.function, asked.arguments);
  json reply = {{"op", value ? "value" : "error"}, {"id", asked.id}};
  if (value) {
    reply["value"] = std::move(*value);
  } else {
    reply["message"] = value.error().message;
  }
  return interpreter_.channel->send(reply, in_seconds(limits_.block_s + kGraceS, &block.cancel));
}

base::Result<bool> ProcessSession::take(json object, Block& block) {
  TRY_ASSIGN(Frame frame, read_frame(std::move(object), block.number, limits_));
  if (const auto* asked = std::get_if<CallFrame>(&frame)) {
    TRY(answer(*asked, block));
    return false;
  }
  auto& result = std::get<BlockResult>(frame);
  result.calls = block.result.calls;
  block.result = std::move(result);
  return true;
}

base::Result<BlockResult> ProcessSession::run(const std::string& code, const Call& call,
                                              const base::CancelToken& cancel) {
  if (!interpreter_.channel) return Error{Code::kUnavailable, "this REPL has ended"};
  wake();
  Block block{.number = ++blocks_,
              .call = call,
              .cancel = cancel,
              .bytes_before = interpreter_.channel->bytes_received()};
  const auto left = [&] { return in_seconds(limits_.block_s + kGraceS - block.own_s, &cancel); };

  base::Status status =
      interpreter_.channel->send({{"op", "run"}, {"id", block.number}, {"code", code}}, left());
  for (bool done = false; status && !done;) {
    const auto begin = std::chrono::steady_clock::now();
    auto frame = interpreter_.channel->receive(left());
    block.own_s += seconds_since(begin);
    if (!frame) {
      status = frame.error();
    } else if (interpreter_.channel->bytes_received() - block.bytes_before > limits_.block_bytes_max) {
      status = Error{Code::kTooLarge,
                     fmt::format("more than {} bytes sent in one block", limits_.block_bytes_max)};
    } else if (const auto last = take(std::move(*frame), block); last) {
      done = *last;
    } else {
      status = last.error();
    }
  }
  block.result.own_ms = block.own_s * 1e3;
  if (status && !block.result.ended) return std::move(block.result);
  if (!status && status.error().code == Code::kCancelled) {
    end(status.error(), block.own_s);
    return status.error();
  }
  const std::string why = end(status ? Error{Code::kDeadline, ""} : status.error(), block.own_s);
  if (!status) block.result.error = why;
  block.result.ended = true;
  return std::move(block.result);
}

}  // namespace pmt::sandbox
