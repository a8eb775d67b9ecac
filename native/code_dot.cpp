#include "code_dot.h"

#if defined(__x86_64__)
// gcc 12 warns of its own header (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#endif

#include <cstring>

namespace lutra {

namespace {

template <unsigned bits>
std::int32_t dot_portable(const std::uint8_t* code, const std::int8_t* query, const CodeShape& shape) {
    constexpr unsigned kPerByte = 8 / bits;
    constexpr unsigned kMask = (1u << bits) - 1;
    std::int32_t sum = 0;
    for (std::size_t block = 0; block < shape.blocks + (shape.tail_bytes != 0); ++block) {
        const std::size_t width = block < shape.blocks ? kCodeBlockBytes : shape.tail_bytes;
        for (unsigned k = 0; k < kPerByte; ++k) {
            for (std::size_t j = 0; j < width; ++j) {
                sum += static_cast<std::int32_t>(code[j] >> (k * bits) & kMask) * query[j];
            }
            query += kCodeBlockBytes;
        }
        code += width;
    }
    return sum;
}

#if defined(__x86_64__)

template <unsigned bits, unsigned k>
__attribute__((target("avx512f,avx512bw"), always_inline)) inline __m512i levels_of(__m512i code) {
    if constexpr (bits == 8) return code;
    const __m512i mask = _mm512_set1_epi8(static_cast<char>((1u << bits) - 1));
    if constexpr (k == 0) return _mm512_and_si512(code, mask);
    return _mm512_and_si512(_mm512_srli_epi16(code, k * bits), mask);
}

template <unsigned bits, unsigned k>
__attribute__((target("avx2"), always_inline)) inline __m256i levels_of(__m256i code) {
    if constexpr (bits == 8) return code;
    const __m256i mask = _mm256_set1_epi8(static_cast<char>((1u << bits) - 1));
    if constexpr (k == 0) return _mm256_and_si256(code, mask);
    return _mm256_and_si256(_mm256_srli_epi16(code, k * bits), mask);
}

// Four running sums: an addition does not wait for the one before it.
struct Sums512 {
    __m512i part[4];
};

template <unsigned bits, unsigned k = 0>
__attribute__((target("avx512f,avx512bw,avx512vnni"), always_inline)) inline void add_vnni(Sums512& sums, __m512i code,
                                                                                           const std::int8_t* query) {
    const __m512i q = _mm512_load_si512(query + k * kCodeBlockBytes);
    sums.part[k % 4] = _mm512_dpbusd_epi32(sums.part[k % 4], levels_of<bits, k>(code), q);
    if constexpr ((k + 1) * bits < 8) add_vnni<bits, k + 1>(sums, code, query);
}

__attribute__((target("avx512f"), always_inline)) inline std::int32_t total(const Sums512& sums) {
    return _mm512_reduce_add_epi32(_mm512_add_epi32(_mm512_add_epi32(sums.part[0], sums.part[1]),
                                                    _mm512_add_epi32(sums.part[2], sums.part[3])));
}

template <unsigned bits>
__attribute__((target("avx512f,avx512bw,avx512vnni"))) std::int32_t dot_vnni(const std::uint8_t* code,
                                                                             const std::int8_t* query,
                                                                             const CodeShape& shape) {
    Sums512 sums;
    for (__m512i& part : sums.part) part = _mm512_setzero_si512();
    for (std::size_t block = 0; block < shape.blocks; ++block) {
        add_vnni<bits>(sums, _mm512_loadu_si512(code), query);
        code += kCodeBlockBytes;
        query += 8 / bits * kCodeBlockBytes;
    }
    if (shape.tail_bytes != 0) {
        const __mmask64 inside = (std::uint64_t{1} << shape.tail_bytes) - 1;
        add_vnni<bits>(sums, _mm512_maskz_loadu_epi8(inside, code), query);
    }
    return total(sums);
}

// Without VNNI: pairs of products in 16 bits, which cannot overflow for codes of up to 4 bits over the codes of a byte
// (8 / bits sums of 2 products of at most (2^bits - 1) * 128); then in 32.
template <unsigned bits, unsigned k = 0>
__attribute__((target("avx512f,avx512bw"), always_inline)) inline __m512i pairs(__m512i code, const std::int8_t* query) {
    const __m512i q = _mm512_load_si512(query + k * kCodeBlockBytes);
    const __m512i products = _mm512_maddubs_epi16(levels_of<bits, k>(code), q);
    if constexpr ((k + 1) * bits < 8) return _mm512_add_epi16(products, pairs<bits, k + 1>(code, query));
    return products;
}

template <unsigned bits>
__attribute__((target("avx512f,avx512bw"), always_inline)) inline __m512i products(__m512i code,
                                                                                   const std::int8_t* query) {
    if constexpr (bits < 8) return _mm512_madd_epi16(pairs<bits>(code, query), _mm512_set1_epi16(1));
    const __m512i low = _mm512_madd_epi16(_mm512_cvtepu8_epi16(_mm512_castsi512_si256(code)),
                                          _mm512_cvtepi8_epi16(_mm256_load_si256((const __m256i*)query)));
    const __m512i high = _mm512_madd_epi16(_mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(code, 1)),
                                           _mm512_cvtepi8_epi16(_mm256_load_si256((const __m256i*)(query + 32))));
    return _mm512_add_epi32(low, high);
}

template <unsigned bits>
__attribute__((target("avx512f,avx512bw"))) std::int32_t dot_avx512(const std::uint8_t* code, const std::int8_t* query,
                                                                    const CodeShape& shape) {
    __m512i sum = _mm512_setzero_si512();
    for (std::size_t block = 0; block < shape.blocks; ++block) {
        sum = _mm512_add_epi32(sum, products<bits>(_mm512_loadu_si512(code), query));
        code += kCodeBlockBytes;
        query += 8 / bits * kCodeBlockBytes;
    }
    if (shape.tail_bytes != 0) {
        const __mmask64 inside = (std::uint64_t{1} << shape.tail_bytes) - 1;
        sum = _mm512_add_epi32(sum, products<bits>(_mm512_maskz_loadu_epi8(inside, code), query));
    }
    return _mm512_reduce_add_epi32(sum);
}

template <unsigned bits, unsigned k = 0>
__attribute__((target("avx2"), always_inline)) inline __m256i pairs(__m256i code, const std::int8_t* query) {
    const __m256i q = _mm256_load_si256((const __m256i*)(query + k * kCodeBlockBytes));
    const __m256i products = _mm256_maddubs_epi16(levels_of<bits, k>(code), q);
    if constexpr ((k + 1) * bits < 8) return _mm256_add_epi16(products, pairs<bits, k + 1>(code, query));
    return products;
}

template <unsigned bits>
__attribute__((target("avx2"), always_inline)) inline __m256i products(__m256i code, const std::int8_t* query) {
    if constexpr (bits < 8) return _mm256_madd_epi16(pairs<bits>(code, query), _mm256_set1_epi16(1));
    const __m256i low = _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(code)),
                                          _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i*)query)));
    const __m256i high = _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm256_extracti128_si256(code, 1)),
                                           _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i*)(query + 16))));
    return _mm256_add_epi32(low, high);
}

template <unsigned bits>
__attribute__((target("avx2"))) std::int32_t dot_avx2(const std::uint8_t* code, const std::int8_t* query,
                                                      const CodeShape& shape) {
    __m256i sum = _mm256_setzero_si256();
    for (std::size_t block = 0; block < shape.blocks; ++block) {
        const __m256i low = _mm256_loadu_si256((const __m256i*)code);
        const __m256i high = _mm256_loadu_si256((const __m256i*)(code + 32));
        sum = _mm256_add_epi32(sum, _mm256_add_epi32(products<bits>(low, query), products<bits>(high, query + 32)));
        code += kCodeBlockBytes;
        query += 8 / bits * kCodeBlockBytes;
    }
    for (std::size_t begin = 0; begin < shape.tail_bytes; begin += 32) {
        const __m256i places = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
        const __m256i left = _mm256_set1_epi32(static_cast<int>(shape.tail_bytes - begin));
        const __m256i last = _mm256_maskload_epi32((const int*)(code + begin), _mm256_cmpgt_epi32(left, places));
        sum = _mm256_add_epi32(sum, products<bits>(last, query + begin));
    }
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    return _mm_cvtsi128_si32(half);
}

#endif

template <unsigned bits>
CodeDot dot_of(CodeLevel level) {
    switch (level) {
#if defined(__x86_64__)
        case CodeLevel::kAvx512Vnni:
            return dot_vnni<bits>;
        case CodeLevel::kAvx512:
            return dot_avx512<bits>;
        case CodeLevel::kAvx2:
            return dot_avx2<bits>;
#endif
        default:
            return dot_portable<bits>;
    }
}

}  // namespace

std::string_view name(CodeLevel level) {
    switch (level) {
        case CodeLevel::kAvx512Vnni:
            return "avx512vnni";
        case CodeLevel::kAvx512:
            return "avx512";
        case CodeLevel::kAvx2:
            return "avx2";
        default:
            return "portable";
    }
}

std::vector<CodeLevel> code_levels() {
    std::vector<CodeLevel> levels;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (wide && __builtin_cpu_supports("avx512vnni")) levels.push_back(CodeLevel::kAvx512Vnni);
    if (wide) levels.push_back(CodeLevel::kAvx512);
    if (__builtin_cpu_supports("avx2")) levels.push_back(CodeLevel::kAvx2);
#endif
    levels.push_back(CodeLevel::kPortable);
    return levels;
}

CodeDot code_dot(CodeLevel level, unsigned bits) {
    switch (bits) {
        case 1:
            return dot_of<1>(level);
        case 2:
            return dot_of<2>(level);
        case 4:
            return dot_of<4>(level);
        default:
            return dot_of<8>(level);
    }
}

void arrange_query(const std::int8_t* values, const CodeShape& shape, unsigned bits, std::int8_t* query) {
    std::memset(query, 0, query_elements(shape, bits));
    for (std::size_t block = 0; block < shape.blocks + (shape.tail_bytes != 0); ++block) {
        const std::size_t width = block < shape.blocks ? kCodeBlockBytes : shape.tail_bytes;
        for (unsigned k = 0; k < 8 / bits; ++k) {
            std::memcpy(query, values, width);
            values += width;
            query += kCodeBlockBytes;
        }
    }
}

void pack_code(const std::uint8_t* levels, const CodeShape& shape, unsigned bits, std::uint8_t* code) {
    for (std::size_t block = 0; block < shape.blocks + (shape.tail_bytes != 0); ++block) {
        const std::size_t width = block < shape.blocks ? kCodeBlockBytes : shape.tail_bytes;
        std::memset(code, 0, width);
        for (unsigned k = 0; k < 8 / bits; ++k) {
            for (std::size_t j = 0; j < width; ++j) code[j] |= static_cast<std::uint8_t>(levels[j] << (k * bits));
            levels += width;
        }
        code += width;
    }
}

}  // namespace lutra
