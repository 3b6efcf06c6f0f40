// What OpenSSL says of its last failure in this thread. Thread-safety: each thread has its own.
#pragma once

#include <string>

namespace pmt::base {

/// Forgets it: the thread's queue of errors is empty afterwards. "unknown reason" where there is none.
std::string openssl_reason();

}  // namespace pmt::base
