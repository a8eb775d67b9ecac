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

using CodeTile = const std::uint8_t* const (&)[kCodeTile];

// Eight bytes at a time, as vectors that the compiler brings to any machine's baseline. The sum over the codes of a
// byte fits 16 bits: 8 / bits products of at most (2^bits - 1) * 127.
typedef std::uint8_t Bytes __attribute__((vector_size(8)));
typedef std::int8_t SignedBytes __attribute__((vector_size(8)));
typedef std::int16_t Shorts __attribute__((vector_size(16)));
typedef std::int32_t Ints __attribute__((vector_size(32)));

template <unsigned bits>
inline void add_portable(Ints& sum, const std::uint8_t* code, const std::int8_t* query) {
    Bytes bytes;
    std::memcpy(&bytes, code, sizeof bytes);
    Shorts lanes = {};
    for (unsigned k = 0; k < 8 / bits; ++k) {
        SignedBytes q;
        std::memcpy(&q, query + k * kCodeBlockBytes, sizeof q);
        const Bytes level = bytes & static_cast<std::uint8_t>((1u << bits) - 1);
        lanes += __builtin_convertvector(level, Shorts) * __builtin_convertvector(q, Shorts);
        if constexpr (bits < 8) bytes >>= bits;
    }
    sum += __builtin_convertvector(lanes, Ints);
}

template <unsigned bits>
std::int32_t dot_portable(const std::uint8_t* code, const std::int8_t* query, const CodeShape& shape) {
    Ints sum = {};
    for (std::size_t block = 0; block < shape.blocks; ++block) {
        for (std::size_t at = 0; at < kCodeBlockBytes; at += 8) add_portable<bits>(sum, code + at, query + at);
        code += kCodeBlockBytes;
        query += 8 / bits * kCodeBlockBytes;
    }
    for (std::size_t at = 0; at < shape.tail_bytes; at += 8) add_portable<bits>(sum, code + at, query + at);
    std::int32_t all = 0;
    for (unsigned i = 0; i < 8; ++i) all += sum[i];
    return all;
}

template <unsigned bits>
void tile_portable(CodeTile codes, const std::int8_t* query, const CodeShape& shape, std::int32_t* sums) {
    for (std::size_t i = 0; i < kCodeTile; ++i) sums[i] = dot_portable<bits>(codes[i], query, shape);
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

// Several running sums: an addition does not wait for the one before it.
template <std::size_t count>
struct Sums {
    __m512i of[count];
};

// One code: its four sums take turns over the codes of a byte. Several: one sum each, the query loaded once for all.
template <unsigned bits, std::size_t codes, unsigned k = 0>
__attribute__((target("avx512f,avx512bw,avx512vnni"), always_inline)) inline void add_vnni(
    Sums<4>& sums, const __m512i (&code)[codes], const std::int8_t* query) {
    const __m512i q = _mm512_load_si512(query + k * kCodeBlockBytes);
    for (std::size_t i = 0; i < codes; ++i) {
        __m512i& sum = sums.of[codes == 1 ? k % 4 : i];
        sum = _mm512_dpbusd_epi32(sum, levels_of<bits, k>(code[i]), q);
    }
    if constexpr ((k + 1) * bits < 8) add_vnni<bits, codes, k + 1>(sums, code, query);
}

template <unsigned bits, std::size_t codes>
__attribute__((target("avx512f,avx512bw,avx512vnni"), always_inline)) inline void sum_vnni(
    const std::uint8_t* const (&code)[codes], const std::int8_t* query, const CodeShape& shape, Sums<4>& sums) {
    for (__m512i& sum : sums.of) sum = _mm512_setzero_si512();
    __m512i bytes[codes];
    for (std::size_t block = 0; block < shape.blocks; ++block) {
        for (std::size_t i = 0; i < codes; ++i) bytes[i] = _mm512_loadu_si512(code[i] + block * kCodeBlockBytes);
        add_vnni<bits, codes>(sums, bytes, query);
        query += 8 / bits * kCodeBlockBytes;
    }
    if (shape.tail_bytes == 0) return;
    const __mmask64 inside = (std::uint64_t{1} << shape.tail_bytes) - 1;
    for (std::size_t i = 0; i < codes; ++i) {
        bytes[i] = _mm512_maskz_loadu_epi8(inside, code[i] + shape.blocks * kCodeBlockBytes);
    }
    add_vnni<bits, codes>(sums, bytes, query);
}

template <unsigned bits>
__attribute__((target("avx512f,avx512bw,avx512vnni"))) std::int32_t dot_vnni(const std::uint8_t* code,
                                                                             const std::int8_t* query,
                                                                             const CodeShape& shape) {
    Sums<4> sums;
    sum_vnni<bits, 1>({code}, query, shape, sums);
    return _mm512_reduce_add_epi32(_mm512_add_epi32(_mm512_add_epi32(sums.of[0], sums.of[1]),
                                                    _mm512_add_epi32(sums.of[2], sums.of[3])));
}

// The sums of four vectors at once: halves, then quarters, are added and interleaved until one element is left of each.
__attribute__((target("avx512f,avx512bw"), always_inline)) inline void store_totals(const Sums<4>& sums,
                                                                                   std::int32_t* totals) {
    __m256i half[4];
    for (std::size_t i = 0; i < 4; ++i) {
        half[i] = _mm256_add_epi32(_mm512_castsi512_si256(sums.of[i]), _mm512_extracti64x4_epi64(sums.of[i], 1));
    }
    const __m256i pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(half[0], half[1]), _mm256_hadd_epi32(half[2], half[3]));
    _mm_storeu_si128((__m128i*)totals,
                     _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1)));
}

template <unsigned bits>
__attribute__((target("avx512f,avx512bw,avx512vnni"))) void tile_vnni(CodeTile codes, const std::int8_t* query,
                                                                      const CodeShape& shape, std::int32_t* sums) {
    Sums<4> tile;
    sum_vnni<bits, kCodeTile>(codes, query, shape, tile);
    store_totals(tile, sums);
}

// Without VNNI: pairs of products in 16 bits, which cannot overflow for codes of up to 4 bits over the codes of a byte
// (8 / bits sums of 2 products of at most (2^bits - 1) * 127); then in 32.
template <unsigned bits, unsigned k = 0>
__attribute__((target("avx512f,avx512bw"), always_inline)) inline __m512i pairs(__m512i code,
                                                                                const std::int8_t* query) {
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
__attribute__((target("avx512f,avx512bw"), always_inline)) inline std::int32_t inline_dot_avx512(
    const std::uint8_t* code, const std::int8_t* query, const CodeShape& shape) {
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

template <unsigned bits>
__attribute__((target("avx512f,avx512bw"))) std::int32_t dot_avx512(const std::uint8_t* code, const std::int8_t* query,
                                                                    const CodeShape& shape) {
    return inline_dot_avx512<bits>(code, query, shape);
}

template <unsigned bits>
__attribute__((target("avx512f,avx512bw"))) void tile_avx512(CodeTile codes, const std::int8_t* query,
                                                             const CodeShape& shape, std::int32_t* sums) {
    for (std::size_t i = 0; i < kCodeTile; ++i) sums[i] = inline_dot_avx512<bits>(codes[i], query, shape);
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
__attribute__((target("avx2"), always_inline)) inline std::int32_t inline_dot_avx2(const std::uint8_t* code,
                                                                                  const std::int8_t* query,
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

template <unsigned bits>
__attribute__((target("avx2"))) std::int32_t dot_avx2(const std::uint8_t* code, const std::int8_t* query,
                                                      const CodeShape& shape) {
    return inline_dot_avx2<bits>(code, query, shape);
}

template <unsigned bits>
__attribute__((target("avx2"))) void tile_avx2(CodeTile codes, const std::int8_t* query, const CodeShape& shape,
                                               std::int32_t* sums) {
    for (std::size_t i = 0; i < kCodeTile; ++i) sums[i] = inline_dot_avx2<bits>(codes[i], query, shape);
}

#endif

template <unsigned bits>
CodeProducts products_of(CodeLevel level) {
    switch (level) {
#if defined(__x86_64__)
        case CodeLevel::kAvx512Vnni:
            return {dot_vnni<bits>, tile_vnni<bits>};
        case CodeLevel::kAvx512:
            return {dot_avx512<bits>, tile_avx512<bits>};
        case CodeLevel::kAvx2:
            return {dot_avx2<bits>, tile_avx2<bits>};
#endif
        default:
            return {dot_portable<bits>, tile_portable<bits>};
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

CodeProducts code_products(CodeLevel level, unsigned bits) {
    switch (bits) {
        case 1:
            return products_of<1>(level);
        case 2:
            return products_of<2>(level);
        case 4:
            return products_of<4>(level);
        default:
            return products_of<8>(level);
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

}  // namespace lutra
