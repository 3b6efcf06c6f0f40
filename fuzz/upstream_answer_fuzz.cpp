// What an upstream answers, from its bytes to events: whatever it says, an error with words, or events in
// event.h's order. The first byte chooses the endpoint, stream or whole, and how the bytes are cut.
#include <vector>

#include "fuzz/fuzz.h"
#include "net/sse.h"
#include "response_cache/store/entry_record.h"
#include "upstream/answer_reader.h"
#include "upstream/upstream_error.h"

namespace {

using pmt::fuzz::require;
namespace llm = pmt::llm;

void check_order(const std::vector<llm::Event>& events, bool finished) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    require(std::holds_alternative<llm::Started>(events[i]) == (i == 0),
            "Started is the first and only then");
    const bool last = i + 1 == events.size();
    require(!std::holds_alternative<llm::Done>(events[i]) || last, "nothing comes after Done");
    require(!std::holds_alternative<llm::Failed>(events[i]), "a failure is returned, not sent");
  }
  if (finished)
    require(!events.empty() && std::holds_alternative<llm::Done>(events.back()),
            "what is finished has its Done");
}

pmt::base::Status read_stream(pmt::upstream::AnswerReader& reader, std::string_view bytes, std::size_t piece,
                              std::vector<llm::Event>& events) {
  pmt::net::SseParser parser;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    for (const auto& payload : parser.feed(bytes.substr(at, piece))) TRY(reader.chunk(payload, events));
  }
  return reader.finish(events);
}

/// What it said can be kept and given again: it nests no deeper than an entry may, and every text is one.
void check_keeping(const std::vector<llm::Event>& events) {
  namespace rc = pmt::response_cache;
  rc::Entry entry;
  entry.value.content = rc::RecordedAnswer{events};
  const auto again = rc::read_record({}, rc::record_of(entry));
  require(again.has_value(), "an answer can be kept");
  require(rc::value_json(again->value) == rc::value_json(entry.value), "and is read as it was");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes = pmt::fuzz::text_of(data + 1, size - 1);
  const bool chat = (data[0] & 1) != 0, stream = (data[0] & 2) != 0;
  pmt::upstream::AnswerReader reader(
      {.endpoint = chat ? llm::Endpoint::kChat : llm::Endpoint::kCompletions, .model = "m"});
  std::vector<llm::Event> events;
  const auto read =
      stream ? read_stream(reader, bytes, 1 + data[0] % 64, events) : reader.whole(bytes, events);
  if (!read) require(!read.error().message.empty(), "an error says what is wrong");
  check_order(events, read.has_value());
  if (read) check_keeping(events);
  for (const int status : {400, 429, 503}) {
    const pmt::net::Headers headers{{"retry-after", std::string(bytes.substr(0, 40))}};
    const auto error = pmt::upstream::status_error(status, headers, bytes, 1'700'000'000);
    require(!error.message.empty() && error.retry_after_s >= 0, "a refusal says why, and when to come again");
  }
  return 0;
}
