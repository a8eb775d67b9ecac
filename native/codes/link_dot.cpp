// Sums of products of a block's packed codes with a query, for each SIMD level; all levels give the same.
#include "link_codes.h"

#if defined(__x86_64__)
// gcc 12 warns of its own header (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#endif

#include <cstring>

namespace lutra {

namespace {

constexpr unsigned kSteps = 8 / kLinkBits;  // codes in a byte
constexpr std::size_t kBlockWords = kCodeBlockBytes / 4;

// Of the query, what the codes of step `k` in the bytes of a word are multiplied with.
const std::int8_t* query_word(const std::int8_t* query, std::size_t word, unsigned k) {
    return query + ((word / kBlockWords * kSteps + k) * kBlockWords + word % kBlockWords) * 4;
}

std::int32_t query_int(const std::int8_t* query, std::size_t word, unsigned k) {
    std::int32_t value;
    std::memcpy(&value, query_word(query, word, k), sizeof value);
    return value;
}

void products_portable(const std::uint8_t* block, std::size_t groups, std::size_t words, const std::int8_t* query,
                       std::int32_t* sums) {
    for (std::size_t group = 0; group < groups; ++group, sums += kLinkLanes) {
        std::memset(sums, 0, kLinkLanes * sizeof *sums);
        for (std::size_t word = 0; word < words; ++word, block += kLinkLanes * 4) {
            for (unsigned k = 0; k < kSteps; ++k) {
                const std::int8_t* q = query_word(query, word, k);
                for (std::size_t lane = 0; lane < kLinkLanes; ++lane) {
                    for (std::size_t byte = 0; byte < 4; ++byte) {
                        sums[lane] += (block[lane * 4 + byte] >> (k * kLinkBits) & 3) * q[byte];
                    }
                }
            }
        }
    }
}

// Without a branch a row: which are near is a matter of chance, and half of the branches would be foretold wrongly.
inline __attribute__((always_inline)) std::size_t choose(const LinkWeights& weights, const std::int32_t* sums,
                                                         const float* bases, const std::uint16_t* scales,
                                                         std::size_t groups, float limit, std::uint32_t* places,
                                                         float* estimates) {
    const LinkWeights own = weights;
    std::size_t chosen = 0;
    for (std::size_t begin = 0; begin < groups * kLinkLanes; begin += kLinkLanes) {
        float found[kLinkLanes];
        for (std::size_t i = 0; i < kLinkLanes; ++i) {
            found[i] = own.estimate(sums[begin + i], bases[begin + i], scales[begin + i]);
        }
        for (std::size_t i = 0; i < kLinkLanes; ++i) {
            places[chosen] = static_cast<std::uint32_t>(begin + i);
            estimates[chosen] = found[i];
            chosen += found[i] < limit ? 1 : 0;
        }
    }
    return chosen;
}

std::size_t choose_portable(const LinkWeights& weights, const std::int32_t* sums, const float* bases,
                            const std::uint16_t* scales, std::size_t groups, float limit, std::uint32_t* places,
                            float* estimates) {
    return choose(weights, sums, bases, scales, groups, limit, places, estimates);
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) std::size_t choose_avx2(const LinkWeights& weights, const std::int32_t* sums,
                                                        const float* bases, const std::uint16_t* scales,
                                                        std::size_t groups, float limit, std::uint32_t* places,
                                                        float* estimates) {
    return choose(weights, sums, bases, scales, groups, limit, places, estimates);
}

// Operation by operation as LinkWeights::estimate.
__attribute__((target("avx512f,avx512bw"))) std::size_t choose_avx512(const LinkWeights& weights,
                                                                      const std::int32_t* sums, const float* bases,
                                                                      const std::uint16_t* scales, std::size_t groups,
                                                                      float limit, std::uint32_t* places,
                                                                      float* estimates) {
    const __m512 distance = _mm512_set1_ps(weights.distance), base = _mm512_set1_ps(weights.base);
    const __m512 sum = _mm512_set1_ps(weights.sum), offset = _mm512_set1_ps(weights.offset);
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    std::size_t chosen = 0;
    for (std::size_t begin = 0; begin < groups * kLinkLanes; begin += kLinkLanes) {
        const __m512i halves = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i*)(scales + begin)));
        const __m512 scale = _mm512_castsi512_ps(_mm512_slli_epi32(halves, 16));
        const __m512 product =
            _mm512_add_ps(_mm512_mul_ps(sum, _mm512_cvtepi32_ps(_mm512_loadu_si512(sums + begin))), offset);
        const __m512 found =
            _mm512_sub_ps(_mm512_add_ps(distance, _mm512_mul_ps(base, _mm512_loadu_ps(bases + begin))),
                          _mm512_mul_ps(scale, product));
        const __mmask16 below = _mm512_cmp_ps_mask(found, _mm512_set1_ps(limit), _CMP_LT_OQ);
        const __m512i numbers = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(begin)));
        _mm512_storeu_si512(places + chosen, _mm512_maskz_compress_epi32(below, numbers));
        _mm512_storeu_ps(estimates + chosen, _mm512_maskz_compress_ps(below, found));
        chosen += static_cast<std::size_t>(__builtin_popcount(below));
    }
    return chosen;
}

// Sums of two groups side by side: the query is loaded once for both, and no addition waits for the one before it.
template <std::size_t groups>
__attribute__((target("avx512f,avx512bw,avx512vnni"), always_inline)) inline void sum_vnni(
    const std::uint8_t* block, std::size_t words, const std::int8_t* query, std::int32_t* sums) {
    const __m512i mask = _mm512_set1_epi8(3);
    __m512i sum[groups];
    for (__m512i& one : sum) one = _mm512_setzero_si512();
    for (std::size_t word = 0; word < words; ++word) {
        __m512i codes[groups];
        for (std::size_t g = 0; g < groups; ++g) {
            codes[g] = _mm512_loadu_si512(block + (g * words + word) * kLinkLanes * 4);
        }
        for (unsigned k = 0; k < kSteps; ++k) {
            const __m512i q = _mm512_set1_epi32(query_int(query, word, k));
            for (std::size_t g = 0; g < groups; ++g) {
                const __m512i levels = _mm512_and_si512(_mm512_srli_epi16(codes[g], k * kLinkBits), mask);
                sum[g] = _mm512_dpbusd_epi32(sum[g], levels, q);
            }
        }
    }
    for (std::size_t g = 0; g < groups; ++g) _mm512_storeu_si512(sums + g * kLinkLanes, sum[g]);
}

__attribute__((target("avx512f,avx512bw,avx512vnni"))) void products_vnni(const std::uint8_t* block, std::size_t groups,
                                                                          std::size_t words, const std::int8_t* query,
                                                                          std::int32_t* sums) {
    std::size_t group = 0;
    for (; group + 2 <= groups; group += 2) {
        sum_vnni<2>(block + group * words * kLinkLanes * 4, words, query, sums + group * kLinkLanes);
    }
    if (group < groups) sum_vnni<1>(block + group * words * kLinkLanes * 4, words, query, sums + group * kLinkLanes);
}

// Pairs of products in 16 bits, which the four codes of a byte do not overflow: 4 * 2 * 3 * 127.
__attribute__((target("avx512f,avx512bw"))) void products_avx512(const std::uint8_t* block, std::size_t groups,
                                                                 std::size_t words, const std::int8_t* query,
                                                                 std::int32_t* sums) {
    const __m512i mask = _mm512_set1_epi8(3), ones = _mm512_set1_epi16(1);
    for (std::size_t group = 0; group < groups; ++group) {
        __m512i sum = _mm512_setzero_si512();
        for (std::size_t word = 0; word < words; ++word, block += kLinkLanes * 4) {
            const __m512i codes = _mm512_loadu_si512(block);
            __m512i pairs = _mm512_setzero_si512();
            for (unsigned k = 0; k < kSteps; ++k) {
                const __m512i levels = _mm512_and_si512(_mm512_srli_epi16(codes, k * kLinkBits), mask);
                const __m512i q = _mm512_set1_epi32(query_int(query, word, k));
                pairs = _mm512_add_epi16(pairs, _mm512_maddubs_epi16(levels, q));
            }
            sum = _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, ones));
        }
        _mm512_storeu_si512(sums + group * kLinkLanes, sum);
    }
}

__attribute__((target("avx2"))) void products_avx2(const std::uint8_t* block, std::size_t groups, std::size_t words,
                                                   const std::int8_t* query, std::int32_t* sums) {
    const __m256i mask = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
    for (std::size_t group = 0; group < groups; ++group) {
        __m256i sum[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (std::size_t word = 0; word < words; ++word) {
            __m256i q[kSteps];
            for (unsigned k = 0; k < kSteps; ++k) q[k] = _mm256_set1_epi32(query_int(query, word, k));
            for (__m256i& half : sum) {
                const __m256i codes = _mm256_loadu_si256((const __m256i*)block);
                block += sizeof codes;
                __m256i pairs = _mm256_setzero_si256();
                for (unsigned k = 0; k < kSteps; ++k) {
                    const __m256i levels = _mm256_and_si256(_mm256_srli_epi16(codes, k * kLinkBits), mask);
                    pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(levels, q[k]));
                }
                half = _mm256_add_epi32(half, _mm256_madd_epi16(pairs, ones));
            }
        }
        _mm256_storeu_si256((__m256i*)(sums + group * kLinkLanes), sum[0]);
        _mm256_storeu_si256((__m256i*)(sums + group * kLinkLanes + kLinkLanes / 2), sum[1]);
    }
}

#endif

}  // namespace

LinkKernels link_kernels(CodeLevel level) {
#if defined(__x86_64__)
    if (level == CodeLevel::kAvx512Vnni) return {products_vnni, choose_avx512};
    if (level == CodeLevel::kAvx512) return {products_avx512, choose_avx512};
    if (level == CodeLevel::kAvx2) return {products_avx2, choose_avx2};
#else
    (void)level;
#endif
    return {products_portable, choose_portable};
}

}  // namespace lutra
