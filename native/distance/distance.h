// Sums of products over float32 vectors, in tiles of rows and queries, for each SIMD level of the machine.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace lutra {

enum class SimdLevel { kPortable, kAvx2, kAvx512 };

std::string_view name(SimdLevel level);

// The levels this machine runs, best first; kPortable is always there.
std::vector<SimdLevel> simd_levels();

// Rows a kernel takes at once: fewer are filled up by repeating one.
inline constexpr std::size_t kTileRows = 4;
// Queries it takes at once, where there are as many.
inline constexpr std::size_t kTileQueries = 2;

// sums[row * queries + query] and, where the kernel gives them, norms[row] (squared). A pair's sum does not depend on
// what shares its tile, so equal vectors get equal sums.
using TileKernel = void (*)(const float* const* rows, const float* const* queries, std::size_t dimension, float* sums,
                            float* norms);

// [0] takes one query, [1] takes kTileQueries.
struct Kernels {
    TileKernel squared_differences[2];
    TileKernel products[2];
    TileKernel products_and_norms[2];
};

const Kernels& kernels(SimdLevel level);

// By the level's kernel of products.
inline float squared_length(const float* vector, std::size_t dimension, SimdLevel level) {
    const float* rows[kTileRows] = {vector, vector, vector, vector};
    float sums[kTileRows];
    kernels(level).products[0](rows, &vector, dimension, sums, nullptr);
    return sums[0];
}

}  // namespace lutra
