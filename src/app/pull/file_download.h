// Downloads one file over HTTP, going on where an earlier try ended (note 0038). Thread-safety: several files may be
// downloaded at once over one client.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/cancel.h"
#include "base/result.h"
#include "net/async_client.h"

namespace pmt::app {

struct FileDownload {
  std::string url = {};
  std::string token = {};         // for the server of `url`
  std::filesystem::path to = {};  // what is there already is the file's beginning
  std::int64_t bytes = 0;         // of the whole file
  std::string etag = {};          // "" if something else says that the beginning is of this file
  double timeout_s = 30;          // of silence, after which the connection is tried anew
  int tries = 5;                  // in a row that bring no byte
  double first_wait_s = 1;        // between them; doubled each time
};

/// Returns when `to` is there whole, on the disk. `arrived`: bytes of it so far. Errors: kIo, kUnavailable,
/// kDeadline (after the last try), the server's refusal, kCorrupt (it isn't the file that was announced),
/// kCancelled. What has arrived stays.
base::Status download_file(net::AsyncClient& client, const FileDownload& file,
                           std::atomic<std::int64_t>& arrived, const base::CancelToken& cancel);

}  // namespace pmt::app
