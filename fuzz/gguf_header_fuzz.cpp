// The header of a model file. Our own reader sees it first (gguf_preflight.h); what that lets through, ggml must
// open: its GGML_ASSERTs end the process, which is a finding. Whole files are damaged by fuzz_gguf.
#include <sys/mman.h>
#include <unistd.h>

#include <memory>

#include <fmt/format.h>
#include <gguf.h>

#include "fuzz/fuzz.h"
#include "model/gguf_preflight.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int kFile = memfd_create("gguf", 0);
  static const std::string kPath = fmt::format("/proc/self/fd/{}", kFile);
  pmt::fuzz::require(ftruncate(kFile, 0) == 0 && pwrite(kFile, data, size, 0) == static_cast<ssize_t>(size),
                     "this machine writes a file in memory");
  const auto checked = pmt::model::check_gguf(kPath);
  if (!checked) {
    pmt::fuzz::require(checked.error().message.find(kPath) != std::string::npos, "an error names the file");
    return 0;
  }
  const std::unique_ptr<gguf_context, decltype(&gguf_free)> opened(
      gguf_init_from_file(kPath.c_str(), {.no_alloc = true, .ctx = nullptr}), gguf_free);
  pmt::fuzz::require(opened != nullptr, "what is let through can be opened");
  return 0;
}
