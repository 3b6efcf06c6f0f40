// Makes one GGUF of the parts that a model was cut into ("-00001-of-00003.gguf"): the first part's keys without those
// of the cut, and the tensors of all parts in their order, each with its own bytes. Thread-safety: any. Errors:
// kCorrupt, a part is damaged, or they don't belong together; kIo, e.g. a full disk. `to` is then not to be used.
// Cost: reads and writes each byte once.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace pmt::model {

/// `parts` in their order; `to` is made anew, and is on the disk when this returns.
base::Status join_gguf(const std::vector<std::string>& parts, const std::string& to);

}  // namespace pmt::model
