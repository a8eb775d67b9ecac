// Sums of tables' entries, for each SIMD level; all levels give the same to the bit.
#if defined(__x86_64__)
// gcc 12 warns of its own header (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#endif

#include <cstring>

#include "fast_codes.h"

namespace lutra {

namespace {

void scan_portable(const std::uint8_t* blocks, std::size_t count, const FastTables& tables, float limit, float* estimates,
                   std::uint16_t* within) {
    for (std::size_t b = 0; b < count; ++b, estimates += kFastRows) {
        const std::uint8_t* own = blocks + tables.columns * kFastRows;
        unsigned found = 0;
        for (std::size_t row = 0; row < kFastRows; ++row) {
            int sum = 0;
            for (std::size_t column = 0; column < tables.columns; ++column) {
                const std::uint8_t code = blocks[column * kFastRows + row];
                sum += tables.low[column][code & 15] + tables.high[column][code >> 4];
            }
            std::int16_t steps;
            std::memcpy(&steps, own + row * sizeof steps, sizeof steps);
            const float by_tables = tables.step * static_cast<float>(sum);
            estimates[row] = by_tables + tables.row_step * static_cast<float>(steps);
            found |= static_cast<unsigned>(estimates[row] <= limit || steps == kFastUnknown) << row;
        }
        within[b] = static_cast<std::uint16_t>(found);
        blocks = own + kFastRows * sizeof(std::int16_t);
    }
}

#if defined(__x86_64__)

// Columns that 512 and 256 bits hold.
constexpr std::size_t kWide = 4;
constexpr std::size_t kHalf = 2;
static_assert(kFastGroupsMultiple == 2 * kWide);

__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq"))) void scan_avx512(
    const std::uint8_t* blocks, std::size_t count, const FastTables& tables, float limit, float* estimates,
    std::uint16_t* within) {
    const __m512i nibble = _mm512_set1_epi8(15), byte = _mm512_set1_epi16(255);
    const __m512 step = _mm512_set1_ps(tables.step), row_step = _mm512_set1_ps(tables.row_step);
    const __m512 most = _mm512_set1_ps(limit);
    const __m256i unknown = _mm256_set1_epi16(kFastUnknown);
    for (std::size_t b = 0; b < count; ++b, estimates += kFastRows) {
        __m512i even = _mm512_setzero_si512(), odd = _mm512_setzero_si512();
        for (std::size_t column = 0; column < tables.columns; column += kWide, blocks += kWide * kFastRows) {
            const __m512i codes = _mm512_loadu_si512(blocks);
            const __m512i low = _mm512_shuffle_epi8(_mm512_load_si512(tables.low[column]), _mm512_and_si512(codes, nibble));
            const __m512i high = _mm512_shuffle_epi8(_mm512_load_si512(tables.high[column]),
                                                     _mm512_and_si512(_mm512_srli_epi16(codes, 4), nibble));
            const __m512i both = _mm512_add_epi8(low, high);
            even = _mm512_add_epi16(even, _mm512_and_si512(both, byte));
            odd = _mm512_add_epi16(odd, _mm512_srli_epi16(both, 8));
        }
        const __m256i evens = _mm256_add_epi16(_mm512_castsi512_si256(even), _mm512_extracti64x4_epi64(even, 1));
        const __m256i odds = _mm256_add_epi16(_mm512_castsi512_si256(odd), _mm512_extracti64x4_epi64(odd, 1));
        const __m128i rows_even = _mm_add_epi16(_mm256_castsi256_si128(evens), _mm256_extracti128_si256(evens, 1));
        const __m128i rows_odd = _mm_add_epi16(_mm256_castsi256_si128(odds), _mm256_extracti128_si256(odds, 1));
        const __m256i sums = _mm256_set_m128i(_mm_unpackhi_epi16(rows_even, rows_odd),
                                              _mm_unpacklo_epi16(rows_even, rows_odd));
        const __m256i own = _mm256_loadu_si256((const __m256i*)blocks);
        const __m512 by_tables = _mm512_mul_ps(step, _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(sums)));
        const __m512 by_row = _mm512_mul_ps(row_step, _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(own)));
        const __m512 all = _mm512_add_ps(by_tables, by_row);
        _mm512_storeu_ps(estimates, all);
        within[b] = static_cast<std::uint16_t>(_mm512_cmp_ps_mask(all, most, _CMP_LE_OQ) |
                                               _mm256_cmpeq_epi16_mask(own, unknown));
        blocks += kFastRows * sizeof(std::int16_t);
    }
}

__attribute__((target("avx2"))) void scan_avx2(const std::uint8_t* blocks, std::size_t count, const FastTables& tables,
                                               float limit, float* estimates, std::uint16_t* within) {
    const __m256i nibble = _mm256_set1_epi8(15), byte = _mm256_set1_epi16(255);
    const __m256 step = _mm256_set1_ps(tables.step), row_step = _mm256_set1_ps(tables.row_step);
    const __m256 most = _mm256_set1_ps(limit);
    const __m128i unknown = _mm_set1_epi16(kFastUnknown);
    for (std::size_t b = 0; b < count; ++b, estimates += kFastRows) {
        __m256i even = _mm256_setzero_si256(), odd = _mm256_setzero_si256();
        for (std::size_t column = 0; column < tables.columns; column += kHalf, blocks += kHalf * kFastRows) {
            const __m256i codes = _mm256_loadu_si256((const __m256i*)blocks);
            const __m256i lows = _mm256_load_si256((const __m256i*)tables.low[column]);
            const __m256i highs = _mm256_load_si256((const __m256i*)tables.high[column]);
            const __m256i low = _mm256_shuffle_epi8(lows, _mm256_and_si256(codes, nibble));
            const __m256i high = _mm256_shuffle_epi8(highs, _mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble));
            const __m256i both = _mm256_add_epi8(low, high);
            even = _mm256_add_epi16(even, _mm256_and_si256(both, byte));
            odd = _mm256_add_epi16(odd, _mm256_srli_epi16(both, 8));
        }
        const __m128i rows_even = _mm_add_epi16(_mm256_castsi256_si128(even), _mm256_extracti128_si256(even, 1));
        const __m128i rows_odd = _mm_add_epi16(_mm256_castsi256_si128(odd), _mm256_extracti128_si256(odd, 1));
        unsigned found = 0;
        for (unsigned half = 0; half < 2; ++half) {
            const __m128i sums = half == 0 ? _mm_unpacklo_epi16(rows_even, rows_odd) : _mm_unpackhi_epi16(rows_even, rows_odd);
            const __m128i own = _mm_loadu_si128((const __m128i*)blocks + half);
            const __m256 by_tables = _mm256_mul_ps(step, _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(sums)));
            const __m256 by_row = _mm256_mul_ps(row_step, _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(own)));
            const __m256 all = _mm256_add_ps(by_tables, by_row);
            _mm256_storeu_ps(estimates + 8 * half, all);
            const __m128i equal = _mm_packs_epi16(_mm_cmpeq_epi16(own, unknown), _mm_setzero_si128());
            const int near = _mm256_movemask_ps(_mm256_cmp_ps(all, most, _CMP_LE_OQ)) | _mm_movemask_epi8(equal);
            found |= static_cast<unsigned>(near) << 8 * half;
        }
        within[b] = static_cast<std::uint16_t>(found);
        blocks += kFastRows * sizeof(std::int16_t);
    }
}

#endif

}  // namespace

FastScan fast_scan(CodeLevel level) {
#if defined(__x86_64__)
    if (level == CodeLevel::kAvx512Vnni || level == CodeLevel::kAvx512) return scan_avx512;
    if (level == CodeLevel::kAvx2) return scan_avx2;
#else
    (void)level;
#endif
    return scan_portable;
}

}  // namespace lutra
