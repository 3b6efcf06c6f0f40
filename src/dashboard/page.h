// The dashboard's page: page.html with style.css and the scripts inside, one document that needs nothing else. Its
// script and its style are allowed by their hashes and nothing else is: no other script could run in it, even
// if somebody's text got into the page.
// Thread-safety: any thread.
#pragma once

#include "net/http.h"

namespace pmt::dashboard {

/// The document with its headers: Content-Security-Policy and the like.
net::HttpResponse page();

}  // namespace pmt::dashboard
