// What is shown of an answer while it comes: the answer on stdout, thoughts on stderr, in grey where somebody looks.
// Thread-safety: one thread at a time.
#pragma once

#include <string>

#include "app/commands/answer_source.h"

namespace pmt::app {

/// Whether colours may be used on this stream: it is a terminal, and NO_COLOR isn't set (no-color.org).
bool has_colours(int fd);

/// `text` in grey, where `fd` has colours.
std::string grey(int fd, const std::string& text);

/// Prints an answer's pieces as they come. Where stderr is no terminal, thoughts aren't shown.
OnPieces print_pieces();

/// Its speed, on stderr.
void show_speed(const Answer& answer);

}  // namespace pmt::app
