// HttpClient over TLS.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "net/http_client.h"
#include "net/url.h"

namespace pmt::net {

/// Requires: an address with TLS and without a path. Errors: of the `ca_file`.
base::Result<std::unique_ptr<HttpClient>> connect_tls(Url address, int timeout_s, const std::string& ca_file);

}  // namespace pmt::net
