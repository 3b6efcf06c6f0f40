// A request as one log line. Thread-safety: any thread.
#pragma once

#include "api/observe/request_record.h"

namespace pmt::api {

struct RequestLogOptions {
  bool requests = false;  // one line each; false: only slow and failed (5xx) ones
  double slow_ms = 10'000;
};

/// Logs at info, slow ones and failures at warning. Never a header, and texts only where the record has them.
RequestObserver request_logger(RequestLogOptions options);

}  // namespace pmt::api
