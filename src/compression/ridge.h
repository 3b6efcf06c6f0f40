// Ridge regression of several answers on the same inputs, gathered block by block and solved in pieces, so that a
// thread that has other work can do it between.
//
// answer = weights . input + constant. The ridge acts on inputs of unit variance, and not on the constant. Gathered
// are the normal equations of inputs less a shift near their mean, in floats; they are solved by conjugate gradients
// (Hestenes, Stiefel, 1952), which for some 50 steps need n^2 multiplications each where a Cholesky factor needs
// n^3 / 3.
// The same bits for the same blocks in the same order. Thread-safety: one thread at a time; several objects at once.
// Cost: 2 B * inputs^2; add() half of rows * inputs^2 multiplications, some 8 of them a nanosecond.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace pmt::compression {

class Ridge {
 public:
  Ridge(std::size_t inputs, std::size_t answers);

  /// `inputs` [rows, inputs], `answers` [rows, answers]. Blocks of some 64 rows stay in a core's cache.
  void add(std::span<const float> inputs, std::span<const float> answers);

  /// Begins to solve what was added so far. A solution that is there is where it begins. Requires: a row.
  void begin(double ridge);
  /// At most so many steps more. True: solved.
  bool improve(int steps);
  /// Of the last solution: [answers, inputs + 1], the constant last.
  std::vector<float> weights() const;

 private:
  struct Search {
    double residual = 0;  // its square, scaled inputs
    double goal = 0;
    bool done = false;
  };

  std::span<float> row_of(std::vector<float>& vectors, std::size_t answer) const;
  std::span<const float> row_of(const std::vector<float>& vectors, std::size_t answer) const;
  void add_products(const std::vector<float>& rows, std::size_t count);
  void add_tile(const std::vector<float>& rows, std::size_t count, std::size_t i, std::size_t j);
  void scale_inputs();
  /// to = the centred, scaled matrix with its ridge, times each answer's vector of `from`.
  void multiply(const std::vector<float>& from, std::vector<float>& to) const;
  void multiply_products(const std::vector<float>& from, std::vector<float>& to) const;
  void advance(std::size_t answer);

  std::size_t inputs_, answers_;
  std::size_t stride_;  // of a vector of inputs, padded
  double count_ = 0;
  std::vector<float> shift_;         // [inputs]
  std::vector<float> products_;      // lower triangle: row i begins at i (i + 1) / 2
  std::vector<double> input_sums_;   // [inputs]
  std::vector<double> answer_sums_;  // [answers]
  std::vector<double> mixed_;        // [answers, inputs]

  double ridge_ = 0;
  int steps_ = 0;
  std::vector<float> scale_;  // [inputs]: one over the deviation; 0: the input is always the same
  std::vector<Search> searches_;
  std::vector<float> solution_, residual_, direction_, image_;  // [answers, stride]
};

}  // namespace pmt::compression
