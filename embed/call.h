// One request that runs in this process: what the API answers, as events that the caller fetches. Nothing is sent over
// any network.
// Thread-safety: any thread may call anything; events come in order, each to one caller.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "embed/failure.h"
#include "net/http.h"
#include "net/sse.h"

namespace pmt::embed {

class Call {
 public:
  /// `when_ended` is called once, when the API has given its answer's end.
  explicit Call(std::function<void(Call*)> when_ended) : when_ended_(std::move(when_ended)) {}
  /// What the API answers into; dropped without an answer, the call fails.
  static std::shared_ptr<net::Responder> responder(const std::shared_ptr<Call>& call);

  /// The next event into `event`: a stream's payload or the whole answer. PERMUTATION_END after the last.
  /// `timeout_s` < 0: as long as it takes.
  Failure next(double timeout_s, std::string* event);
  /// The work is told to stop; its end still comes.
  void cancel();

 private:
  class Answer;
  void add(std::string_view bytes);
  void end();
  void fail(Failure failure);
  void on_cancel(std::function<void()> callback);

  const std::function<void(Call*)> when_ended_;
  std::mutex mutex_;
  std::condition_variable changed_;
  net::SseParser stream_;
  std::deque<std::string> events_;
  Failure failure_ = {};
  std::function<void()> on_cancel_;
  bool cancelled_ = false, ended_ = false;
};

}  // namespace pmt::embed
