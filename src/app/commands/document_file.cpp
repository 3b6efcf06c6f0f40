#include "app/commands/document_file.h"

#include <cerrno>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"

namespace pmt::app {
namespace {

constexpr int kNotFoundStatus = 127;

base::Error unreadable(const std::string& file, const std::string& why) {
  return {base::Code::kUnprocessable, fmt::format("{}: {}", file, why)};
}

/// All that comes until the other end is closed.
std::string read_all(int fd) {
  std::string out;
  char buffer[65536];
  for (;;) {
    const ssize_t got = read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return out;
    out.append(buffer, static_cast<std::size_t>(got));
  }
}

/// By argument, so that a file's name is never a shell's.
base::Result<std::string> text_of_pdf(const std::string& file) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return unreadable(file, "no pipe can be opened");
  const base::Fd from(ends[0]);
  base::Fd to(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, to.get(), STDOUT_FILENO);
  const std::string path = std::filesystem::absolute(file).string();  // never an option
  std::string words[] = {"pdftotext", "-enc", "UTF-8", "-nopgbrk", path, "-"};
  char* argv[] = {words[0].data(), words[1].data(), words[2].data(), words[3].data(),
                  words[4].data(), words[5].data(), nullptr};
  pid_t child = 0;
  const int failed = posix_spawnp(&child, "pdftotext", &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  to.reset();
  int status = failed != 0 ? kNotFoundStatus << 8 : 0;
  std::string text = failed != 0 ? std::string() : read_all(from.get());
  while (failed == 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotFoundStatus)
    return unreadable(file, "a PDF is read by pdftotext, which isn't here: install poppler-utils");
  if (status != 0) return unreadable(file, "pdftotext can't read it");
  return text;
}

}  // namespace

bool is_document(const std::string& file, const std::string& content) {
  const std::size_t first = content.find_first_not_of(" \t\r\n");
  const bool json = first != std::string::npos && content[first] == '{';
  return !knowledge_cache::media_type_of(file).empty() && !json;
}

base::Result<knowledge_cache::Document> document_of_file(const std::string& file, std::string content) {
  const std::string name = std::filesystem::path(file).filename().string();
  std::string media_type(knowledge_cache::media_type_of(name));
  if (media_type == "application/pdf") {
    TRY_ASSIGN(content, text_of_pdf(file));
    media_type = "text/plain";
  }
  auto document = knowledge_cache::document_of(name, media_type, std::move(content));
  if (!document) return unreadable(file, document.error().message);
  return document;
}

}  // namespace pmt::app
