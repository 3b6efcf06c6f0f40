// base's readers of JSON fields under this room's names, since every reader of a body here is made of them.
#pragma once

#include <cstddef>
#include <limits>

#include "api/json/json_reader.h"
#include "base/json_fields.h"

namespace pmt::api {

using base::as_number;
using base::below;
using base::flag;
using base::integer;
using base::mismatch;
using base::name_field;
using base::not_one_of;
using base::number;
using base::one_of;
using base::Range;
using base::read_array;
using base::read_object;
using base::Rule;
using base::suggestion;
using base::text;
using base::UnknownKeys;

/// Of a text that may be as long as its body, whose own limit bounds it; of a function's, a tool's, a field's name.
inline constexpr std::size_t kTextMax = std::numeric_limits<std::size_t>::max(), kNameBytesMax = 256;

}  // namespace pmt::api
