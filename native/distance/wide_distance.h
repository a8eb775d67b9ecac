// Distances of two vectors taken in double: for those whose sums leave float32, which are few.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>

#include "distance_range.h"
#include "topk.h"

namespace lutra {

// Squares of the smallest and sums of the largest float32 both fit.
struct WideSums {
    double squared_difference = 0;
    double product = 0;
    double a_squared = 0;
    double b_squared = 0;
};

inline WideSums wide_sums(const float* a, const float* b, std::size_t dimension) {
    constexpr std::size_t kLanes = 4;  // independent sums, side by side
    double differences[kLanes] = {}, products[kLanes] = {}, a_squares[kLanes] = {}, b_squares[kLanes] = {};
    const auto add = [&](std::size_t lane, std::size_t i) {
        const double x = a[i], y = b[i];
        differences[lane] += (x - y) * (x - y);
        products[lane] += x * y;
        a_squares[lane] += x * x;
        b_squares[lane] += y * y;
    };
    const std::size_t whole = dimension - dimension % kLanes;
    for (std::size_t i = 0; i < whole; i += kLanes) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) add(lane, i + lane);
    }
    for (std::size_t i = whole; i < dimension; ++i) add(i - whole, i);
    const auto total = [](const double* lanes) { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); };
    return {total(differences), total(products), total(a_squares), total(b_squares)};
}

inline bool is_zero_vector(const float* vector, std::size_t dimension) {
    return vector[0] == 0 && std::memcmp(vector, vector + 1, (dimension - 1) * sizeof(float)) == 0;
}

// As `topk` defines distances, packed (distance_range.h).
[[gnu::noinline, gnu::cold]] inline float wide_distance(const float* a, const float* b, std::size_t dimension,
                                                        Metric metric) {
    if (metric == Metric::kEuclidean && std::memcmp(a, b, dimension * sizeof(float)) == 0) return 0;
    if (metric == Metric::kCosine && (is_zero_vector(a, dimension) || is_zero_vector(b, dimension))) return 1;
    const WideSums sums = wide_sums(a, b, dimension);
    if (metric == Metric::kEuclidean) return pack_distance(sums.squared_difference);
    if (metric == Metric::kDotProduct) return pack_distance(-sums.product);
    const double squared_lengths = sums.a_squared * sums.b_squared;
    if (squared_lengths == 0) return 1;
    // As fine as the cosines of other vectors, so that length makes no difference.
    return 1 - std::clamp(static_cast<float>(sums.product / std::sqrt(squared_lengths)), -1.0f, 1.0f);
}

// What finishes the sum of a kernel for one query and one row: a plain distance, or the wide one where the sum, or
// under cosine a squared length, is not ordinary.
class DistanceFinisher {
  public:
    DistanceFinisher() = default;
    // `query` [dimension] has to outlive this; `squared_length` is its own by the kernel, under cosine and dot product.
    DistanceFinisher(const float* query, std::size_t dimension, Metric metric, float squared_length)
        : query_(query),
          dimension_(dimension),
          metric_(metric),
          squared_length_(squared_length),
          length_(std::sqrt(squared_length)),
          is_short_(!(squared_length >= kShortSquared) && !is_zero_vector(query, dimension)) {}

    float finish(float sum, float row_squared_length, const float* row) const {
        if (metric_ == Metric::kCosine) return cosine(sum, row_squared_length, row);
        if (is_ordinary(sum)) return metric_ == Metric::kEuclidean ? sum : -sum;
        // Vectors at right angles are many where they are sparse; a query this long makes more than 0 of all products
        // that are worth telling from it.
        if (sum == 0 && metric_ == Metric::kDotProduct && !is_short_) return 0;
        return wide_distance(query_, row, dimension_, metric_);
    }

  private:
    static constexpr float kShortSquared = 0x1p-60f;
    static constexpr float kNearlyParallel = 0.99999f;

    float cosine(float sum, float row_squared_length, const float* row) const {
        if (!is_ordinary(row_squared_length) || !is_ordinary(squared_length_)) {
            return wide_distance(query_, row, dimension_, metric_);
        }
        const float cosine = sum / (std::sqrt(row_squared_length) * length_);
        if (std::abs(cosine) < kNearlyParallel) return 1 - cosine;
        // Two roots are rounded where one would be exact: a vector's own cosine is 1 and nothing else.
        const bool is_parallel = double{sum} * sum == double{row_squared_length} * squared_length_;
        return 1 - (is_parallel ? std::copysign(1.0f, sum) : std::clamp(cosine, -1.0f, 1.0f));
    }

    const float* query_ = nullptr;
    std::size_t dimension_ = 0;
    Metric metric_ = Metric::kEuclidean;
    float squared_length_ = 0;
    float length_ = 0;
    bool is_short_ = false;
};

}  // namespace lutra
