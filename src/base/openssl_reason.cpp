#include "base/openssl_reason.h"

#include <openssl/err.h>

namespace pmt::base {

std::string openssl_reason() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "unknown reason" : reason;
}

}  // namespace pmt::base
