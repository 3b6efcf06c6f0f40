#include "app/commands/terminal.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "app/commands/report_error.h"

namespace pmt::app {

bool has_colours(int fd) {
  const char* const none = std::getenv("NO_COLOR");
  return isatty(fd) != 0 && (none == nullptr || *none == '\0');
}

std::string grey(int fd, const std::string& text) {
  return has_colours(fd) ? "\033[2m" + text + "\033[0m" : text;
}

OnPieces print_pieces() {
  OnPieces out;
  const bool thinks_aloud = isatty(STDERR_FILENO) != 0;
  const auto thinking = std::make_shared<bool>(false);
  out.text = [thinking](const std::string& text) {
    if (std::exchange(*thinking, false)) tell("\n\n");
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  };
  if (!thinks_aloud) return out;
  out.thought = [thinking](const std::string& text) {
    *thinking = true;
    tell("{}", grey(STDERR_FILENO, text));
  };
  return out;
}

void show_speed(const Answer& answer) {
  if (!answer.first_s) return tell("\nno text came\n");
  tell("\ntime to first token {:.3f} s for {} tokens of prompt; {} tokens", *answer.first_s,
       answer.prompt_tokens, answer.tokens);
  if (const double speed = answer.tokens_per_second(); speed > 0) tell(", {:.1f} tokens/s", speed);
  tell("\n");
}

}  // namespace pmt::app
