#include "net/io_loop.h"

#include <utility>

namespace pmt::net {
namespace {

thread_local IoLoop* here = nullptr;

}  // namespace

IoLoop* IoLoop::current() {
  return here;
}

void IoLoop::enter() {
  here = this;
}

void IoLoop::end() {
  if (here == this) here = nullptr;
  for (const auto& tell : std::exchange(guests_, {})) tell();
}

}  // namespace pmt::net
