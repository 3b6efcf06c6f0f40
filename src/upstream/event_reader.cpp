#include "upstream/event_reader.h"

#include <utility>

#include "upstream/answer_reader.h"
#include "upstream/messages/message_reader.h"
#include "upstream/responses/response_reader.h"

namespace pmt::upstream {

std::unique_ptr<EventReader> make_reader(llm::Api api, AnswerAbout about) {
  switch (api) {
    case llm::Api::kMessages:
      return std::make_unique<MessageReader>(std::move(about));
    case llm::Api::kResponses:
      return std::make_unique<ResponseReader>(std::move(about));
    case llm::Api::kChat:
      break;
  }
  return std::make_unique<AnswerReader>(std::move(about));
}

}  // namespace pmt::upstream
