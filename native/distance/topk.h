// The k nearest rows of a float32 matrix to each of some queries, by looking at every row.
#pragma once

#include <cstddef>
#include <cstdint>

#include "distance.h"

namespace lutra {

// The numbers are the protocol's VectorMetricType.
enum class Metric { kEuclidean = 0, kCosine = 1, kDotProduct = 2 };

// Rows are numbered in 32 bits.
inline constexpr std::size_t kRowsMax = 0xffffffff;

struct Scan {
    const float* queries;  // [query_count, dimension]
    std::size_t query_count;
    const float* vectors;  // [row_count, dimension]; row_count <= kRowsMax
    std::size_t row_count;
    std::size_t dimension;
    const std::uint8_t* mask;  // [row_count], a row counts where it is not 0; nullptr: all rows count
    Metric metric;
    SimdLevel level;
    unsigned threads;  // at most; 0: as many as the process may use. Fewer where there is little to do.
};

// How many rows count.
std::size_t qualifying_rows(const std::uint8_t* mask, std::size_t row_count);

// Fills ids and distances, [query_count, k] each, nearest first and equals by id. `k` must be at least 1 and at most
// qualifying_rows. Distances: squared Euclidean; 1 - cosine, 1 where either vector has length 0; minus the dot product.
// Those beyond 2^100 or below 2^-100 are packed (distance_range.h). Throws std::bad_alloc.
void topk(const Scan& scan, std::size_t k, std::int64_t* ids, float* distances);

// The first row of a [row_count, dimension] matrix with an element that is infinite or not a number; row_count if none.
std::size_t first_not_finite(const float* vectors, std::size_t row_count, std::size_t dimension);

}  // namespace lutra
