// Symmetric positive definite systems, by Cholesky's factor: row-major matrices [n, n] of which only the
// lower triangle is read and written. Pure functions. Requires: a positive definite matrix (a ridge makes it
// one); otherwise the result is no number, unless `pivot_min` keeps it one. Cost: n^3 / 3 and n^2
// multiplications.
#pragma once

#include <cstddef>

namespace pmt::base {

/// a = L, in place, where L L' = a. A pivot's square below `pivot_min` becomes it.
void factor_cholesky(double* a, std::size_t n, double pivot_min = 0);

/// x = the solution of L L' y = x, in place [n].
void solve_cholesky(const double* factor, std::size_t n, double* x);

}  // namespace pmt::base
