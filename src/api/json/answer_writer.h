// How one API says an answer: a whole body, or server-sent events as they come. Each API that completes has
// one of each; where the events come from and how bytes leave is completion_sink.h's.
// Thread-safety: none; a writer belongs to one request, whose events never overlap.
#pragma once

#include <string>

#include "llm/event.h"

namespace pmt::api {

class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;
  virtual void add(llm::Started started) = 0;
  virtual void add(llm::Delta delta) = 0;
  virtual void add(llm::ChoiceEnd end) = 0;
  /// The body. With no cache report in `done`, the one of `Started` counts.
  virtual std::string finish(llm::Done& done) = 0;
  /// It failed instead: for who keeps an account of answers. The error's own answer is the sink's.
  virtual void fail(const base::Error&) {}
};

class StreamWriter {
 public:
  virtual ~StreamWriter() = default;
  virtual void start(const llm::Started& started) = 0;
  /// What to send for it: nothing, one or several events.
  virtual std::string chunk(const llm::Delta& delta) = 0;
  virtual std::string chunk(llm::ChoiceEnd end) = 0;
  /// The rest, up to the stream's end.
  virtual std::string finish(llm::Done& done) = 0;
  /// An error after the first chunk: the stream ends with it.
  virtual std::string failure(const base::Error& error) = 0;
  /// An error before it: as AnswerWriter's.
  virtual void fail(const base::Error&) {}
};

}  // namespace pmt::api
