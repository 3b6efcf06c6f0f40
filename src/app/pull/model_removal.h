// Removes models that were pulled. Thread-safety: one call at a time in a process; other processes wait. A server that has the
// model loaded goes on with it.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

namespace pmt::app {

/// An installed model, of the catalogue too, or what is there of an unfinished pull, by name or source. Returns the bytes
/// that it had. Errors: kNotFound; kInvalidArgument (several fit); kIo.
base::Result<std::uintmax_t> remove_model(const std::string& name);

}  // namespace pmt::app
