// Distances of one query to vectors that lie anywhere, as `topk` computes them: equal to the bit to those of a scan.
#pragma once

#include <algorithm>
#include <cstddef>

#include "distance.h"
#include "topk.h"
#include "wide_distance.h"

namespace lutra {

class ExactDistance {
  public:
    // `query` [dimension] has to outlive this.
    ExactDistance(const float* query, std::size_t dimension, Metric metric, SimdLevel level)
        : query_(query),
          dimension_(dimension),
          finisher_(query, dimension, metric, squared_length(query, dimension, level)) {
        const Kernels& all = kernels(level);
        kernel_ = metric == Metric::kEuclidean ? all.squared_differences[0]
                  : metric == Metric::kCosine  ? all.products_and_norms[0]
                                               : all.products[0];
    }

    // Of `count` vectors, at most kTileRows.
    void tile(const float* const* vectors, std::size_t count, float* distances) const {
        const float* rows[kTileRows];
        for (std::size_t i = 0; i < kTileRows; ++i) rows[i] = vectors[std::min(i, count - 1)];
        float sums[kTileRows];
        float norms[kTileRows] = {};
        kernel_(rows, &query_, dimension_, sums, norms);
        // -0 becomes 0, as in a scan.
        for (std::size_t i = 0; i < count; ++i) distances[i] = finisher_.finish(sums[i], norms[i], rows[i]) + 0.0f;
    }

  private:
    const float* query_;
    std::size_t dimension_;
    DistanceFinisher finisher_;
    TileKernel kernel_ = nullptr;
};

}  // namespace lutra
