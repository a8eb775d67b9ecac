// Distances of one query to vectors that lie anywhere, as `topk` computes them: equal to the bit to those of a scan.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "distance.h"
#include "topk.h"

namespace lutra {

class ExactDistance {
  public:
    // `query` [dimension] has to outlive this.
    ExactDistance(const float* query, std::size_t dimension, Metric metric, SimdLevel level)
        : query_(query), dimension_(dimension), metric_(metric) {
        const Kernels& all = kernels(level);
        kernel_ = metric == Metric::kEuclidean ? all.squared_differences[0]
                  : metric == Metric::kCosine  ? all.products_and_norms[0]
                                               : all.products[0];
        if (metric != Metric::kCosine) return;
        const float* rows[kTileRows] = {query, query, query, query};
        float sums[kTileRows];
        all.products[0](rows, &query_, dimension, sums, nullptr);
        length_ = std::sqrt(sums[0]);
    }

    // Of `count` vectors, at most kTileRows. One that is not a number, after an overflow, is infinite.
    void tile(const float* const* vectors, std::size_t count, float* distances) const {
        const float* rows[kTileRows];
        for (std::size_t i = 0; i < kTileRows; ++i) rows[i] = vectors[std::min(i, count - 1)];
        float sums[kTileRows];
        float norms[kTileRows];
        kernel_(rows, &query_, dimension_, sums, norms);
        for (std::size_t i = 0; i < count; ++i) distances[i] = finish(sums[i], norms[i]);
    }

  private:
    float finish(float sum, float squared_length) const {
        float distance = metric_ == Metric::kEuclidean ? sum : -sum;
        if (metric_ == Metric::kCosine) {
            const float lengths = std::sqrt(squared_length) * length_;
            distance = lengths == 0 ? 1 : 1 - std::clamp(sum / lengths, -1.0f, 1.0f);
        }
        return std::isnan(distance) ? std::numeric_limits<float>::infinity() : distance + 0.0f;
    }

    const float* query_;
    std::size_t dimension_;
    Metric metric_;
    TileKernel kernel_ = nullptr;
    float length_ = 0;
};

}  // namespace lutra
