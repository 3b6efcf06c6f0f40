#include "model/pinned_chat.h"

#include <string_view>

#include <log.h>

namespace pmt::model {

std::string name_of(const Vocab& vocab, std::optional<std::int32_t> token) {
  return token ? vocab.piece(*token, {.name_special = true}) : std::string();
}

common_chat_templates_ptr pinned_templates(const Vocab& vocab, const std::string& source) {
  // It tells its log what models write.
  static const bool kQuiet = (common_log_set_verbosity_thold(-1), true);
  static_cast<void>(kQuiet);
  return common_chat_templates_init(nullptr, source, name_of(vocab, vocab.bos()),
                                    name_of(vocab, vocab.eos()));
}

std::string last_line(const char* what) {
  const std::string_view all = what;
  return std::string(all.substr(all.find_last_of('\n') + 1));
}

}  // namespace pmt::model
