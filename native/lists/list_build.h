// Building lists: k-means in two levels, then all rows assigned anew to the nearest centroids of either level.
//
// Sums are of whole numbers, so that the result does not depend on the number of threads, nor on the SIMD level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "codes.h"

namespace lutra {

struct ListOptions {
    std::size_t rows_per_list;  // on average, about; no list has more than twice as many
    unsigned threads;           // at least 1
    SimdLevel level;
};

struct BuiltLists {
    std::vector<std::uint32_t> order;     // [rows]: the row of the vectors that comes first, second, ...
    std::vector<std::uint32_t> offsets;   // [lists + 1]: where each list begins in it
    std::vector<std::int8_t> centroids;   // [lists, coded dimension]
    std::vector<float> radii;             // [lists]
    std::vector<float> spreads;           // [lists]
    float step;
    std::size_t peak_bytes;  // held at most, without the vectors
};

// Called now and then on the thread that builds, with the rows done so far and those to do; what it throws ends the
// build.
using ListProgress = std::function<void(std::size_t done, std::size_t total)>;

// Of `vectors` [row_count, dimension of the quantizer], which are finite. There is at least one list, maybe empty.
BuiltLists build_lists(const float* vectors, std::size_t row_count, const Quantizer& quantizer,
                       const ListOptions& options, const ListProgress& progress);

}  // namespace lutra
