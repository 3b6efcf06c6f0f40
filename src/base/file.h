// Whole files, by one reader for all that people name in a config or on a command line. Only a regular file
// is read (or a link to one): a folder reads as nothing, and a pipe or a device may never end. Thread-safety:
// any thread. Errors name the file and what is wrong with it: kNotFound (there is none), kIo (the system
// refused, or it is no regular file), kTooLarge, kInvalidArgument (text that isn't UTF-8).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pmt::base {

inline constexpr std::size_t kFileBytesMax = std::size_t{4} << 30;

/// Whether read_file would read it: for those who have a library open it. Never waits.
Status check_file(const std::string& path);
/// The same of a file that a setting names. Errors: kInvalidArgument, with the setting's name before it.
Status check_file(const std::string& path, const char* field);

Result<std::string> read_file(const std::string& path, std::size_t bytes_max = kFileBytesMax);

/// How many bytes at the beginning are UTF-8: all of them, or the place of the first that isn't.
std::size_t utf8_bytes(std::string_view text);

/// UTF-8, without the byte order mark that some editors put before it. Errors: also of what is no text, or text in UTF-16,
/// with the way out.
Result<std::string> read_text_file(const std::string& path, std::size_t bytes_max = kFileBytesMax);

/// The file is the old one or the new one, whatever happens: written beside it, on the disk, then moved into
/// its place. Errors: the old one is untouched, and nothing is left beside it.
Status replace_file(const std::string& path, std::string_view bytes);

/// Renames a damaged file to PATH.damaged-N, a name that is free, and returns that. Errors: kIo, it is where
/// it was.
Result<std::string> set_aside(const std::string& path);

}  // namespace pmt::base
