// How fast this machine reads memory: the roofline of a program that reads its model for each token.
#pragma once

namespace pmt::lab {

/// Bytes a second that `threads` threads together read, of 256 MiB that no cache holds; the median of five rounds.
/// Cost: 256 MiB and some 0.1 s.
double read_bandwidth(int threads);

}  // namespace pmt::lab
