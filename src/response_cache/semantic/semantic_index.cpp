#include "response_cache/semantic/semantic_index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <mutex>

#include "base/check.h"

namespace pmt::response_cache {
namespace {

std::vector<std::uint64_t> signs_of(std::span<const float> vector) {
  std::vector<std::uint64_t> signs((vector.size() + 63) / 64);
  for (std::size_t i = 0; i < vector.size(); ++i) {
    if (vector[i] < 0) signs[i / 64] |= std::uint64_t{1} << (i % 64);
  }
  return signs;
}

std::vector<std::uint64_t> signs_of(const PackedVector& vector) {
  std::vector<std::uint64_t> signs((vector.values.size() + 63) / 64);
  for (std::size_t i = 0; i < vector.values.size(); ++i) {
    if (vector.values[i] < 0) signs[i / 64] |= std::uint64_t{1} << (i % 64);
  }
  return signs;
}

using CountDiffering = void (*)(const std::uint64_t* all, std::size_t entries, const std::uint64_t* one,
                                std::size_t words, std::uint16_t* out);

template <std::size_t kWords>
inline __attribute__((always_inline)) void count_loop(const std::uint64_t* all, std::size_t entries,
                                                      const std::uint64_t* one, std::size_t words,
                                                      std::uint16_t* out) {
  const std::size_t n = kWords != 0 ? kWords : words;
  for (std::size_t e = 0; e < entries; ++e) {
    int count = 0;
    for (std::size_t w = 0; w < n; ++w) count += std::popcount(all[e * n + w] ^ one[w]);
    out[e] = static_cast<std::uint16_t>(count);
  }
}

void count_plain(const std::uint64_t* all, std::size_t entries, const std::uint64_t* one, std::size_t words,
                 std::uint16_t* out) {
  count_loop<0>(all, entries, one, words, out);
}

#if defined(__x86_64__)
__attribute__((target("popcnt"))) void count_popcnt(const std::uint64_t* all, std::size_t entries,
                                                    const std::uint64_t* one, std::size_t words,
                                                    std::uint16_t* out) {
  words == 6 ? count_loop<6>(all, entries, one, words, out) : count_loop<0>(all, entries, one, words, out);
}
#endif

/// The instruction is not in the baseline that the rest of this room is built for.
CountDiffering best_count() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("popcnt")) return count_popcnt;
#endif
  return count_plain;
}

float dot(std::span<const float> a, const std::int8_t* b) {
  std::array<float, 8> sums{};
  std::size_t i = 0;
  for (; i + 8 <= a.size(); i += 8) {
    for (std::size_t k = 0; k < 8; ++k) sums[k] += a[i + k] * static_cast<float>(b[i + k]);
  }
  float sum = 0;
  for (; i < a.size(); ++i) sum += a[i] * static_cast<float>(b[i]);
  for (const float s : sums) sum += s;
  return sum;
}

}  // namespace

PackedVector PackedVector::of(std::span<const float> vector) {
  PackedVector out;
  float largest = 0;
  for (const float v : vector) largest = std::max(largest, std::fabs(v));
  out.scale = largest / 127;
  out.values.reserve(vector.size());
  const float inverse = largest > 0 ? 127 / largest : 0;
  for (const float v : vector) out.values.push_back(static_cast<std::int8_t>(std::lround(v * inverse)));
  return out;
}

SemanticIndex::Added SemanticIndex::add(const Scope& scope, const Key& key, const PackedVector& vector) {
  const std::vector<std::uint64_t> signs = signs_of(vector);
  const std::unique_lock lock(mutex_);
  Added added;
  if (options_.entries_max > 0 && places_.size() >= options_.entries_max) {
    added.removed = by_age_.front();
    remove_locked(added.removed);
  }
  Bucket& bucket = buckets_[scope];
  if (bucket.ids.empty()) {
    bucket.width = vector.values.size();
    bucket.words = signs.size();
  }
  CHECK(bucket.width == vector.values.size());  // one embedder a process
  added.id = next_id_++;
  bucket.signs.insert(bucket.signs.end(), signs.begin(), signs.end());
  bucket.values.insert(bucket.values.end(), vector.values.begin(), vector.values.end());
  bucket.scales.push_back(vector.scale);
  bucket.keys.push_back(key);
  bucket.ids.push_back(added.id);
  by_age_.push_back(added.id);
  places_.emplace(added.id, Place{scope, bucket.ids.size() - 1, std::prev(by_age_.end())});
  return added;
}

bool SemanticIndex::remove(std::uint64_t id) {
  const std::unique_lock lock(mutex_);
  return remove_locked(id);
}

/// The last one moves into the hole.
bool SemanticIndex::remove_locked(std::uint64_t id) {
  const auto found = places_.find(id);
  if (found == places_.end()) return false;
  const auto home = buckets_.find(found->second.scope);
  Bucket& bucket = home->second;
  const std::size_t at = found->second.at, last = bucket.ids.size() - 1;
  if (at != last) {
    std::copy_n(bucket.signs.begin() + static_cast<std::ptrdiff_t>(last * bucket.words), bucket.words,
                bucket.signs.begin() + static_cast<std::ptrdiff_t>(at * bucket.words));
    std::copy_n(bucket.values.begin() + static_cast<std::ptrdiff_t>(last * bucket.width), bucket.width,
                bucket.values.begin() + static_cast<std::ptrdiff_t>(at * bucket.width));
    bucket.scales[at] = bucket.scales[last];
    bucket.keys[at] = bucket.keys[last];
    bucket.ids[at] = bucket.ids[last];
    places_.at(bucket.ids[at]).at = at;
  }
  bucket.signs.resize(last * bucket.words);
  bucket.values.resize(last * bucket.width);
  bucket.scales.pop_back();
  bucket.keys.pop_back();
  bucket.ids.pop_back();
  by_age_.erase(found->second.age);
  places_.erase(found);
  if (last == 0) buckets_.erase(home);
  return true;
}

std::vector<Neighbour> SemanticIndex::nearest(const Scope& scope, std::span<const float> vector,
                                              std::size_t count) const {
  static const CountDiffering kCount = best_count();
  const std::vector<std::uint64_t> signs = signs_of(vector);
  const std::shared_lock lock(mutex_);
  const auto home = buckets_.find(scope);
  if (home == buckets_.end() || home->second.width != vector.size()) return {};
  const Bucket& bucket = home->second;
  const std::size_t n = bucket.ids.size();
  thread_local std::vector<std::uint16_t> differing;
  differing.resize(n);
  kCount(bucket.signs.data(), n, signs.data(), bucket.words, differing.data());

  // The distance up to which `rerank` entries lie, by counting: distances are small integers.
  std::vector<std::uint32_t> histogram(vector.size() + 1);
  for (const std::uint16_t d : differing) ++histogram[d];
  std::size_t limit = 0;
  for (std::size_t seen = 0; limit < vector.size(); ++limit) {
    seen += histogram[limit];
    if (seen >= std::min(n, options_.rerank)) break;
  }
  std::vector<Neighbour> near;
  for (std::size_t e = 0; e < n && near.size() < 4 * options_.rerank; ++e) {
    if (differing[e] > limit) continue;
    const float cosine = dot(vector, bucket.values.data() + e * bucket.width) * bucket.scales[e];
    near.push_back({bucket.ids[e], bucket.keys[e], cosine});
  }
  const std::size_t kept = std::min(count, near.size());
  std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(kept), near.end(),
                    [](const Neighbour& a, const Neighbour& b) { return a.cosine > b.cosine; });
  near.resize(kept);
  return near;
}

std::size_t SemanticIndex::size() const {
  const std::shared_lock lock(mutex_);
  return places_.size();
}

}  // namespace pmt::response_cache
