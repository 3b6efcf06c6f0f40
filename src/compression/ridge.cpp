#include "compression/ridge.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "base/check.h"

namespace pmt::compression {
namespace {

// Four floats in one register of any machine. Wider ones would add in another order, and give other bits elsewhere.
using Lane = float __attribute__((vector_size(16)));
constexpr std::size_t kLane = 4;
constexpr std::size_t kTileRows = 4, kTileLanes = 2, kTileColumns = kTileLanes * kLane;

constexpr double kSolvedTo = 1e-4;  // of the answers' own size
constexpr int kStepsMax = 400;      // where the equations are too odd for that
constexpr double kConstantBelow =
    1e-7;  // of an input's mean square: then rounding is all that its variance is

Lane load(const float* from) {
  Lane out;
  std::memcpy(&out, from, sizeof(out));
  return out;
}

void store(float* to, const Lane& lane) {
  std::memcpy(to, &lane, sizeof(lane));
}

std::size_t row_begin(std::size_t row) {
  return row * (row + 1) / 2;
}

double dot(std::span<const float> a, std::span<const float> b) {
  return std::inner_product(
      a.begin(), a.end(), b.begin(), 0.0, [](double sum, double x) { return sum + x; },
      [](float x, float y) { return double{x} * y; });
}

}  // namespace

Ridge::Ridge(std::size_t inputs, std::size_t answers)
    : inputs_(inputs),
      answers_(answers),
      stride_((inputs + kTileColumns - 1) / kTileColumns * kTileColumns),
      products_(row_begin(inputs)),
      input_sums_(inputs),
      answer_sums_(answers),
      mixed_(answers * inputs) {}

std::span<float> Ridge::row_of(std::vector<float>& vectors, std::size_t answer) const {
  return std::span(vectors).subspan(answer * stride_, stride_);
}

std::span<const float> Ridge::row_of(const std::vector<float>& vectors, std::size_t answer) const {
  return std::span(vectors).subspan(answer * stride_, stride_);
}

void Ridge::add(std::span<const float> inputs, std::span<const float> answers) {
  const std::size_t count = answers.size() / answers_;
  CHECK(count > 0 && inputs.size() == count * inputs_ && answers.size() == count * answers_);
  if (shift_.empty()) {
    shift_.resize(inputs_);
    for (std::size_t i = 0; i < inputs_; ++i) {
      double sum = 0;
      for (std::size_t r = 0; r < count; ++r) sum += inputs[r * inputs_ + i];
      shift_[i] = static_cast<float>(sum / static_cast<double>(count));
    }
  }
  std::vector<float> rows(count * stride_);
  for (std::size_t r = 0; r < count; ++r) {
    float* row = rows.data() + r * stride_;
    for (std::size_t i = 0; i < inputs_; ++i) {
      row[i] = inputs[r * inputs_ + i] - shift_[i];
      input_sums_[i] += row[i];
    }
    for (std::size_t a = 0; a < answers_; ++a) {
      const double answer = answers[r * answers_ + a];
      answer_sums_[a] += answer;
      for (std::size_t i = 0; i < inputs_; ++i) mixed_[a * inputs_ + i] += answer * row[i];
    }
  }
  add_products(rows, count);
  count_ += static_cast<double>(count);
}

void Ridge::add_products(const std::vector<float>& rows, std::size_t count) {
  for (std::size_t i = 0; i < inputs_; i += kTileRows) {
    for (std::size_t j = 0; j < i + kTileRows; j += kTileColumns) add_tile(rows, count, i, j);
  }
}

/// The products of four inputs with eight: sums that stay in registers over all rows.
void Ridge::add_tile(const std::vector<float>& rows, std::size_t count, std::size_t i, std::size_t j) {
  Lane sums[kTileRows][kTileLanes] = {};
  for (std::size_t r = 0; r < count; ++r) {
    const float* row = rows.data() + r * stride_;
    const Lane left = load(row + j), right = load(row + j + kLane);
    for (std::size_t k = 0; k < kTileRows; ++k) {
      const float x = row[i + k];
      sums[k][0] += left * x;
      sums[k][1] += right * x;
    }
  }
  for (std::size_t k = 0; k < kTileRows && i + k < inputs_; ++k) {
    float out[kTileColumns];
    store(out, sums[k][0]);
    store(out + kLane, sums[k][1]);
    float* to = products_.data() + row_begin(i + k);
    for (std::size_t c = 0; c < kTileColumns && j + c <= i + k; ++c) to[j + c] += out[c];
  }
}

void Ridge::scale_inputs() {
  scale_.assign(inputs_, 0);
  for (std::size_t i = 0; i < inputs_; ++i) {
    const double square = products_[row_begin(i) + i] / count_;
    const double mean = input_sums_[i] / count_;
    const double variance = square - mean * mean;
    const double size = square + double{shift_[i]} * shift_[i];
    if (variance > kConstantBelow * size) scale_[i] = static_cast<float>(1 / std::sqrt(variance));
  }
}

void Ridge::begin(double ridge) {
  CHECK(count_ > 0);
  ridge_ = ridge;
  steps_ = 0;
  scale_inputs();
  solution_.resize(answers_ * stride_);
  image_.assign(answers_ * stride_, 0);
  multiply(solution_, image_);
  residual_.assign(answers_ * stride_, 0);
  searches_.assign(answers_, {});
  for (std::size_t a = 0; a < answers_; ++a) {
    const double answer_mean = answer_sums_[a] / count_;
    double wanted = 0;
    for (std::size_t i = 0; i < inputs_; ++i) {
      const double right = (mixed_[a * inputs_ + i] - input_sums_[i] * answer_mean) * scale_[i];
      wanted += right * right;
      residual_[a * stride_ + i] = static_cast<float>(right - image_[a * stride_ + i]);
    }
    Search& search = searches_[a];
    search.residual = dot(row_of(residual_, a), row_of(residual_, a));
    search.goal = kSolvedTo * kSolvedTo * wanted;
    search.done = search.residual <= search.goal;
  }
  direction_ = residual_;
}

bool Ridge::improve(int steps) {
  const auto done = [this] {
    return steps_ >= kStepsMax ||
           std::all_of(searches_.begin(), searches_.end(), [](const Search& each) { return each.done; });
  };
  for (int step = 0; step < steps && !done(); ++step) {
    multiply(direction_, image_);
    for (std::size_t a = 0; a < answers_; ++a) advance(a);
    ++steps_;
  }
  return done();
}

/// One step of one answer's search.
void Ridge::advance(std::size_t answer) {
  Search& search = searches_[answer];
  if (search.done) return;
  const auto solution = row_of(solution_, answer), residual = row_of(residual_, answer),
             direction = row_of(direction_, answer), image = row_of(image_, answer);
  const double along = dot(direction, image);
  if (along <= 0) {  // rounding is all that is left
    search.done = true;
    return;
  }
  const auto step = static_cast<float>(search.residual / along);
  for (std::size_t i = 0; i < inputs_; ++i) {
    solution[i] += step * direction[i];
    residual[i] -= step * image[i];
  }
  const double before = search.residual;
  search.residual = dot(residual, residual);
  search.done = search.residual <= search.goal;
  const auto turn = static_cast<float>(search.residual / before);
  for (std::size_t i = 0; i < inputs_; ++i) direction[i] = residual[i] + turn * direction[i];
}

void Ridge::multiply(const std::vector<float>& from, std::vector<float>& to) const {
  std::vector<float> scaled(from.size());
  std::vector<double> by_mean(answers_);
  for (std::size_t a = 0; a < answers_; ++a) {
    for (std::size_t i = 0; i < inputs_; ++i) {
      const float x = from[a * stride_ + i] * scale_[i];
      scaled[a * stride_ + i] = x;
      by_mean[a] += input_sums_[i] * x;
    }
    by_mean[a] /= count_;
  }
  multiply_products(scaled, to);
  for (std::size_t a = 0; a < answers_; ++a) {
    for (std::size_t i = 0; i < inputs_; ++i) {
      const std::size_t at = a * stride_ + i;
      to[at] = static_cast<float>((to[at] - input_sums_[i] * by_mean[a]) * scale_[i] + ridge_ * from[at]);
    }
  }
}

/// Each row of the triangle is read once for all answers: a part of the result by itself, and of all before it.
void Ridge::multiply_products(const std::vector<float>& from, std::vector<float>& to) const {
  std::fill(to.begin(), to.end(), 0.0F);
  for (std::size_t i = 0; i < inputs_; ++i) {
    const float* row = products_.data() + row_begin(i);
    for (std::size_t a = 0; a < answers_; ++a) {
      const float* x = from.data() + a * stride_;
      float* y = to.data() + a * stride_;
      Lane sums = {};
      std::size_t j = 0;
      for (; j + kLane <= i; j += kLane) {
        const Lane products = load(row + j);
        sums += products * load(x + j);
        store(y + j, load(y + j) + products * x[i]);
      }
      float sum = sums[0] + sums[1] + sums[2] + sums[3];
      for (; j < i; ++j) {
        sum += row[j] * x[j];
        y[j] += row[j] * x[i];
      }
      y[i] += sum + row[i] * x[i];
    }
  }
}

std::vector<float> Ridge::weights() const {
  std::vector<float> out;
  out.reserve(answers_ * (inputs_ + 1));
  for (std::size_t a = 0; a < answers_; ++a) {
    double constant = answer_sums_[a] / count_;
    for (std::size_t i = 0; i < inputs_; ++i) {
      const float weight = solution_[a * stride_ + i] * scale_[i];
      out.push_back(weight);
      constant -= weight * (input_sums_[i] / count_ + double{shift_[i]});
    }
    out.push_back(static_cast<float>(constant));
  }
  return out;
}

}  // namespace pmt::compression
