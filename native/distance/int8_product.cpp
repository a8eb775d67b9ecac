#include "int8_product.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lutra {

namespace {

void products_portable(const std::uint8_t* const* rows, const std::int8_t* query, std::size_t size,
                       std::int32_t* sums) {
    for (std::size_t r = 0; r < kByteTileRows; ++r) {
        std::int32_t sum = 0;
        for (std::size_t i = 0; i < size; ++i) sum += static_cast<std::int32_t>(rows[r][i]) * query[i];
        sums[r] = sum;
    }
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) void products_avx2(const std::uint8_t* const* rows, const std::int8_t* query,
                                                   std::size_t size, std::int32_t* sums) {
    constexpr std::size_t kLanes = 16;
    __m256i total[kByteTileRows];
    for (__m256i& lanes : total) lanes = _mm256_setzero_si256();
    for (std::size_t begin = 0; begin < size; begin += kLanes) {
        const __m256i q = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(query + begin)));
        for (std::size_t r = 0; r < kByteTileRows; ++r) {
            const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[r] + begin));
            total[r] = _mm256_add_epi32(total[r], _mm256_madd_epi16(_mm256_cvtepu8_epi16(bytes), q));
        }
    }
    for (std::size_t r = 0; r < kByteTileRows; ++r) {
        __m128i half = _mm_add_epi32(_mm256_castsi256_si128(total[r]), _mm256_extracti128_si256(total[r], 1));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
        sums[r] = _mm_cvtsi128_si32(half);
    }
}

__attribute__((target("avx512f,avx512vnni"))) void products_vnni(const std::uint8_t* const* rows,
                                                                 const std::int8_t* query, std::size_t size,
                                                                 std::int32_t* sums) {
    __m512i total[kByteTileRows];
    for (__m512i& lanes : total) lanes = _mm512_setzero_si512();
    for (std::size_t begin = 0; begin < size; begin += kByteLanes) {
        const __m512i q = _mm512_loadu_si512(query + begin);
        for (std::size_t r = 0; r < kByteTileRows; ++r) {
            total[r] = _mm512_dpbusd_epi32(total[r], _mm512_loadu_si512(rows[r] + begin), q);
        }
    }
    for (std::size_t r = 0; r < kByteTileRows; ++r) sums[r] = _mm512_reduce_add_epi32(total[r]);
}

#endif

}  // namespace

ByteProducts byte_products(SimdLevel level) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (level == SimdLevel::kAvx512 && __builtin_cpu_supports("avx512vnni")) return products_vnni;
    if (level != SimdLevel::kPortable && __builtin_cpu_supports("avx2")) return products_avx2;
#else
    (void)level;
#endif
    return products_portable;
}

}  // namespace lutra
