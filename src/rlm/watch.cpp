#include "rlm/watch.h"

#include <algorithm>

#include <fmt/format.h>

namespace pmt::rlm {
namespace {

constexpr std::size_t kToldBytesMin = 5'000'000;  // shorter work is done before anybody has read of it
constexpr std::size_t kTenths = 10;

}  // namespace

void Watch::begin(std::string what, std::size_t bytes) {
  what_ = std::move(what);
  bytes_ = bytes;
  done_ = pending_ = tenths_said_ = 0;
}

base::Status Watch::look() {
  done_ = std::min(bytes_, done_ + std::exchange(pending_, 0));
  if (cancel_.cancelled()) return base::Error{base::Code::kCancelled, "cancelled"};
  if (ledger_ != nullptr) TRY(ledger_->in_time());
  if (!say_ || bytes_ < kToldBytesMin) return {};
  const std::size_t tenths = done_ / (bytes_ / kTenths);
  if (tenths <= tenths_said_ || tenths >= kTenths) return {};
  tenths_said_ = tenths;
  say_(fmt::format("{}: {:.1f} of {:.1f} MB", what_, static_cast<double>(done_) / 1e6,
                   static_cast<double>(bytes_) / 1e6));
  return {};
}

}  // namespace pmt::rlm
