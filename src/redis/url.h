// Where a Redis is and how it is entered, as one URL says it:
//   redis://[user[:password]@]host[:port][/database]
//   rediss://...                                       the same over TLS
//   unix://[user[:password]@]/path/of/the/socket[?db=database], also redis+unix://
// (valkey:// and valkeys:// are redis:// and rediss://.) What isn't a letter or digit of user, password and path may
// be percent-encoded, and a '%' itself must be. ?db= is taken in every form.
// Thread-safety: pure.
#pragma once

#include <string>

#include "base/result.h"
#include "redis/connection.h"

namespace pmt::redis {

struct Address {
  Endpoint endpoint = {};
  Login login = {};  // without TLS: `tls` says whether it is wanted
  bool tls = false;
};

/// Errors: kInvalidArgument, which quote nothing of the URL: it may hold a password.
base::Result<Address> parse_url(const std::string& url);

}  // namespace pmt::redis
