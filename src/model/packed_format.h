// Which of ggml's types our kernels multiply, and by what name they know them. Thread-safety: pure.
#pragma once

#include <optional>

#include <ggml.h>

#include "kernels/quant/format.h"

namespace pmt::model {

inline std::optional<kernels::QuantFormat> packed_format(ggml_type type) {
  switch (type) {
    case GGML_TYPE_Q4_0:
      return kernels::QuantFormat::kQ40;
    case GGML_TYPE_Q4_1:
      return kernels::QuantFormat::kQ41;
    case GGML_TYPE_Q5_0:
      return kernels::QuantFormat::kQ50;
    case GGML_TYPE_Q8_0:
      return kernels::QuantFormat::kQ80;
    case GGML_TYPE_Q4_K:
      return kernels::QuantFormat::kQ4K;
    case GGML_TYPE_Q5_K:
      return kernels::QuantFormat::kQ5K;
    case GGML_TYPE_Q6_K:
      return kernels::QuantFormat::kQ6K;
    case GGML_TYPE_IQ4_NL:
      return kernels::QuantFormat::kIq4Nl;
    case GGML_TYPE_IQ4_XS:
      return kernels::QuantFormat::kIq4Xs;
    default:
      return std::nullopt;
  }
}

}  // namespace pmt::model
