// What an upstream answers, from its bytes to events: whatever it says, an error with words, or events in
// event.h's order. The same bytes are a chat request to be said in another API's words. The first byte chooses the
// endpoint, stream or whole, the API, and how the bytes are cut.
#include <vector>

#include "base/json.h"
#include "fuzz/fuzz.h"
#include "net/sse.h"
#include "response_cache/store/entry_record.h"
#include "upstream/event_reader.h"
#include "upstream/messages/message_body.h"
#include "upstream/responses/response_body.h"
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

pmt::base::Status read_stream(pmt::upstream::EventReader& reader, std::string_view bytes, std::size_t piece,
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

/// A chat request of these bytes, in the words of the other two APIs: JSON, or refused with words.
void check_translations(std::string_view bytes) {
  namespace up = pmt::upstream;
  if (!bytes.starts_with('{') || !pmt::base::check_json(bytes)) return;
  for (const auto& body : {up::message_body(bytes, {}, true), up::response_body(bytes, {}, true)}) {
    require(body || !body.error().message.empty(), "a refusal says what is wrong");
    if (body)
      require(pmt::base::check_json(body->text, {.depth_max = pmt::base::kJsonDepthMax * 2}).has_value(),
              "what is asked is JSON");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes = pmt::fuzz::text_of(data + 1, size - 1);
  const bool chat = (data[0] & 1) != 0, stream = (data[0] & 2) != 0;
  const int native = data[0] >> 6;
  const llm::Api api = native == 1   ? llm::Api::kMessages
                       : native == 3 ? llm::Api::kResponses
                                     : llm::Api::kChat;
  const auto reader = pmt::upstream::make_reader(
      api, {.endpoint = chat ? llm::Endpoint::kChat : llm::Endpoint::kCompletions, .model = "m"});
  std::vector<llm::Event> events;
  const auto read =
      stream ? read_stream(*reader, bytes, 1 + data[0] % 64, events) : reader->whole(bytes, events);
  if (!read) require(!read.error().message.empty(), "an error says what is wrong");
  check_order(events, read.has_value());
  if (read) check_keeping(events);
  check_translations(bytes);
  for (const int status : {400, 429, 503}) {
    const pmt::net::Headers headers{{"retry-after", std::string(bytes.substr(0, 40))}};
    const auto error = pmt::upstream::status_error(status, headers, bytes, 1'700'000'000);
    require(!error.message.empty() && error.retry_after_s >= 0, "a refusal says why, and when to come again");
  }
  return 0;
}
