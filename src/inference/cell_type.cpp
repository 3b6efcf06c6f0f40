#include "inference/cell_type.h"

namespace pmt::inference {

const char* name_of(CellType type) {
  switch (type) {
    case CellType::kF16:
      return "f16";
    case CellType::kQ8_0:
      return "q8_0";
    case CellType::kQ4_0:
      break;
  }
  return "q4_0";
}

}  // namespace pmt::inference
