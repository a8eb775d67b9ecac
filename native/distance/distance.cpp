#include "distance.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lutra {

namespace {

enum class Sum { kSquaredDifferences, kProducts, kProductsAndNorms };

// One accumulator for each pair of row and query, fed in the same order whatever the tile: see TileKernel.

constexpr std::size_t kPortableLanes = 4;  // what the compiler turns into vectors of the baseline (SSE2, NEON)

template <Sum sum, std::size_t queries_count>
struct PortableTotals {
    float total[kTileRows][queries_count][kPortableLanes] = {};
    float norm[kTileRows][kPortableLanes] = {};

    void add(std::size_t row, const float* row_lanes, const float* const* queries, std::size_t begin) {
        for (std::size_t q = 0; q < queries_count; ++q) {
            for (std::size_t i = 0; i < kPortableLanes; ++i) {
                if constexpr (sum == Sum::kSquaredDifferences) {
                    const float difference = row_lanes[i] - queries[q][begin + i];
                    total[row][q][i] += difference * difference;
                } else {
                    total[row][q][i] += row_lanes[i] * queries[q][begin + i];
                }
            }
        }
        if constexpr (sum == Sum::kProductsAndNorms) {
            for (std::size_t i = 0; i < kPortableLanes; ++i) norm[row][i] += row_lanes[i] * row_lanes[i];
        }
    }
};

float sum_lanes(const float* lanes) { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); }

template <Sum sum, std::size_t queries_count>
void tile_portable(const float* const* rows, const float* const* queries, std::size_t dimension, float* sums,
                   float* norms) {
    PortableTotals<sum, queries_count> totals;
    const std::size_t whole = dimension - dimension % kPortableLanes;
    for (std::size_t begin = 0; begin < whole; begin += kPortableLanes) {
        for (std::size_t r = 0; r < kTileRows; ++r) totals.add(r, rows[r] + begin, queries, begin);
    }
    if (whole < dimension) {
        float last_queries[queries_count][kPortableLanes] = {};
        const float* padded_queries[queries_count];
        for (std::size_t q = 0; q < queries_count; ++q) {
            for (std::size_t i = whole; i < dimension; ++i) last_queries[q][i - whole] = queries[q][i];
            padded_queries[q] = last_queries[q];
        }
        for (std::size_t r = 0; r < kTileRows; ++r) {
            float last_row[kPortableLanes] = {};
            for (std::size_t i = whole; i < dimension; ++i) last_row[i - whole] = rows[r][i];
            totals.add(r, last_row, padded_queries, 0);
        }
    }
    for (std::size_t r = 0; r < kTileRows; ++r) {
        for (std::size_t q = 0; q < queries_count; ++q) sums[r * queries_count + q] = sum_lanes(totals.total[r][q]);
        if constexpr (sum == Sum::kProductsAndNorms) norms[r] = sum_lanes(totals.norm[r]);
    }
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) inline float sum_lanes(__m256 lanes) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    half = _mm_add_ss(half, _mm_shuffle_ps(half, half, 1));
    return _mm_cvtss_f32(half);
}

// All of a tile's sums stay in registers: gcc 12 kept those of one query in memory, and wrote them each time.
#define LUTRA_UNROLL _Pragma("GCC unroll 8")

template <Sum sum, std::size_t queries_count>
__attribute__((target("avx2,fma"))) void tile_avx2(const float* const* rows, const float* const* queries,
                                                   std::size_t dimension, float* sums, float* norms) {
    constexpr std::size_t kLanes = 8;
    __m256 total[kTileRows][queries_count];
    __m256 norm[kTileRows];
    LUTRA_UNROLL
    for (std::size_t r = 0; r < kTileRows; ++r) {
        norm[r] = _mm256_setzero_ps();
        LUTRA_UNROLL
        for (std::size_t q = 0; q < queries_count; ++q) total[r][q] = _mm256_setzero_ps();
    }
    for (std::size_t begin = 0; begin < dimension; begin += kLanes) {
        const bool whole = dimension - begin >= kLanes;
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        const __m256i inside = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(dimension - begin)), lane);
        __m256 query[queries_count];
        LUTRA_UNROLL
        for (std::size_t q = 0; q < queries_count; ++q) {
            const float* at = queries[q] + begin;
            query[q] = whole ? _mm256_loadu_ps(at) : _mm256_maskload_ps(at, inside);
        }
        LUTRA_UNROLL
        for (std::size_t r = 0; r < kTileRows; ++r) {
            const float* at = rows[r] + begin;
            const __m256 row = whole ? _mm256_loadu_ps(at) : _mm256_maskload_ps(at, inside);
            LUTRA_UNROLL
            for (std::size_t q = 0; q < queries_count; ++q) {
                if constexpr (sum == Sum::kSquaredDifferences) {
                    const __m256 difference = _mm256_sub_ps(row, query[q]);
                    total[r][q] = _mm256_fmadd_ps(difference, difference, total[r][q]);
                } else {
                    total[r][q] = _mm256_fmadd_ps(row, query[q], total[r][q]);
                }
            }
            if constexpr (sum == Sum::kProductsAndNorms) norm[r] = _mm256_fmadd_ps(row, row, norm[r]);
        }
    }
    LUTRA_UNROLL
    for (std::size_t r = 0; r < kTileRows; ++r) {
        LUTRA_UNROLL
        for (std::size_t q = 0; q < queries_count; ++q) sums[r * queries_count + q] = sum_lanes(total[r][q]);
        if constexpr (sum == Sum::kProductsAndNorms) norms[r] = sum_lanes(norm[r]);
    }
}

template <Sum sum, std::size_t queries_count>
__attribute__((target("avx512f"))) void tile_avx512(const float* const* rows, const float* const* queries,
                                                    std::size_t dimension, float* sums, float* norms) {
    constexpr std::size_t kLanes = 16;
    __m512 total[kTileRows][queries_count];
    __m512 norm[kTileRows];
    LUTRA_UNROLL
    for (std::size_t r = 0; r < kTileRows; ++r) {
        norm[r] = _mm512_setzero_ps();
        LUTRA_UNROLL
        for (std::size_t q = 0; q < queries_count; ++q) total[r][q] = _mm512_setzero_ps();
    }
    for (std::size_t begin = 0; begin < dimension; begin += kLanes) {
        const std::size_t left = dimension - begin;
        const __mmask16 inside = static_cast<__mmask16>(left >= kLanes ? 0xffff : (1u << left) - 1);
        __m512 query[queries_count];
        LUTRA_UNROLL
        for (std::size_t q = 0; q < queries_count; ++q) query[q] = _mm512_maskz_loadu_ps(inside, queries[q] + begin);
        LUTRA_UNROLL
        for (std::size_t r = 0; r < kTileRows; ++r) {
            const __m512 row = _mm512_maskz_loadu_ps(inside, rows[r] + begin);
            LUTRA_UNROLL
            for (std::size_t q = 0; q < queries_count; ++q) {
                if constexpr (sum == Sum::kSquaredDifferences) {
                    const __m512 difference = _mm512_sub_ps(row, query[q]);
                    total[r][q] = _mm512_fmadd_ps(difference, difference, total[r][q]);
                } else {
                    total[r][q] = _mm512_fmadd_ps(row, query[q], total[r][q]);
                }
            }
            if constexpr (sum == Sum::kProductsAndNorms) norm[r] = _mm512_fmadd_ps(row, row, norm[r]);
        }
    }
    LUTRA_UNROLL
    for (std::size_t r = 0; r < kTileRows; ++r) {
        LUTRA_UNROLL
        for (std::size_t q = 0; q < queries_count; ++q) sums[r * queries_count + q] = _mm512_reduce_add_ps(total[r][q]);
        if constexpr (sum == Sum::kProductsAndNorms) norms[r] = _mm512_reduce_add_ps(norm[r]);
    }
}

constexpr Kernels kAvx2Kernels = {
    {tile_avx2<Sum::kSquaredDifferences, 1>, tile_avx2<Sum::kSquaredDifferences, kTileQueries>},
    {tile_avx2<Sum::kProducts, 1>, tile_avx2<Sum::kProducts, kTileQueries>},
    {tile_avx2<Sum::kProductsAndNorms, 1>, tile_avx2<Sum::kProductsAndNorms, kTileQueries>},
};

constexpr Kernels kAvx512Kernels = {
    {tile_avx512<Sum::kSquaredDifferences, 1>, tile_avx512<Sum::kSquaredDifferences, kTileQueries>},
    {tile_avx512<Sum::kProducts, 1>, tile_avx512<Sum::kProducts, kTileQueries>},
    {tile_avx512<Sum::kProductsAndNorms, 1>, tile_avx512<Sum::kProductsAndNorms, kTileQueries>},
};

#endif

constexpr Kernels kPortableKernels = {
    {tile_portable<Sum::kSquaredDifferences, 1>, tile_portable<Sum::kSquaredDifferences, kTileQueries>},
    {tile_portable<Sum::kProducts, 1>, tile_portable<Sum::kProducts, kTileQueries>},
    {tile_portable<Sum::kProductsAndNorms, 1>, tile_portable<Sum::kProductsAndNorms, kTileQueries>},
};

}  // namespace

std::string_view name(SimdLevel level) {
    switch (level) {
        case SimdLevel::kAvx512:
            return "avx512";
        case SimdLevel::kAvx2:
            return "avx2";
        default:
            return "portable";
    }
}

std::vector<SimdLevel> simd_levels() {
    std::vector<SimdLevel> levels;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f")) levels.push_back(SimdLevel::kAvx512);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) levels.push_back(SimdLevel::kAvx2);
#endif
    levels.push_back(SimdLevel::kPortable);
    return levels;
}

const Kernels& kernels(SimdLevel level) {
#if defined(__x86_64__)
    if (level == SimdLevel::kAvx512) return kAvx512Kernels;
    if (level == SimdLevel::kAvx2) return kAvx2Kernels;
#else
    (void)level;
#endif
    return kPortableKernels;
}

}  // namespace lutra
