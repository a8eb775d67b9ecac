#include "code_lanes.h"

#if defined(__x86_64__)
// gcc 12 warns of its own header (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstring>

namespace lutra {

namespace {

using Codes = const std::uint8_t* const*;

std::int32_t chunk_portable(const std::uint8_t* code, const CodeChunk& chunk) {
    std::int32_t all = 0;
    for (std::size_t lane = 0; lane * 4 < chunk.bytes; ++lane) {
        std::int32_t sum = 0;
        for (std::size_t at = lane * 4; at < std::min(lane * 4 + 4, chunk.bytes); ++at) {
            for (std::size_t step = 0; step < chunk.steps; ++step) {
                const int level = code[at] >> chunk.shifts[step][lane] & chunk.masks[at];
                sum += level * chunk.query[step][at];
            }
        }
        all += static_cast<std::int32_t>(static_cast<std::uint32_t>(sum) << chunk.weights[lane]);
    }
    return all;
}

void tiles_portable(Codes codes, std::size_t tiles, std::span<const CodeChunk> chunks, std::int32_t* sums) {
    for (std::size_t i = 0; i < tiles * kCodeTile; ++i) {
        sums[i] = 0;
        const std::uint8_t* code = codes[i];
        for (const CodeChunk& chunk : chunks) {
            sums[i] += chunk_portable(code, chunk);
            code += kCodeBlockBytes;
        }
    }
}

#if defined(__x86_64__)

#define LUTRA_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define LUTRA_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

// The sums of each of four vectors' lanes.
LUTRA_AVX512 __attribute__((always_inline)) inline void sum_lanes(const __m512i (&of)[kCodeTile], std::int32_t* sums) {
    const __m512i ab = _mm512_add_epi32(_mm512_unpacklo_epi32(of[0], of[1]), _mm512_unpackhi_epi32(of[0], of[1]));
    const __m512i cd = _mm512_add_epi32(_mm512_unpacklo_epi32(of[2], of[3]), _mm512_unpackhi_epi32(of[2], of[3]));
    const __m512i abcd = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    const __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(abcd), _mm512_extracti64x4_epi64(abcd, 1));
    const __m128i all = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    _mm_storeu_si128((__m128i*)sums, all);
}

struct AddVnni {
    LUTRA_VNNI __attribute__((always_inline)) static inline __m512i add(__m512i sum, __m512i levels, __m512i query,
                                                                        bool) {
        return _mm512_dpbusd_epi32(sum, levels, query);
    }
};

struct AddAvx512 {
    LUTRA_AVX512 __attribute__((always_inline)) static inline __m512i add(__m512i sum, __m512i levels, __m512i query,
                                                                          bool is_bytes) {
        if (!is_bytes) {
            const __m512i pairs = _mm512_maddubs_epi16(levels, query);
            return _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
        }
        // Even and odd bytes apart, as 16 bits: what the instruction with bytes would cut off.
        const __m512i low = _mm512_set1_epi16(0xff);
        const __m512i even = _mm512_madd_epi16(_mm512_and_si512(levels, low),
                                               _mm512_srai_epi16(_mm512_slli_epi16(query, 8), 8));
        const __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16(levels, 8), _mm512_srai_epi16(query, 8));
        return _mm512_add_epi32(sum, _mm512_add_epi32(even, odd));
    }
};

#define LUTRA_TILES_512(name, Add, attributes)                                                                       \
    attributes void tile_##name(Codes codes, std::span<const CodeChunk> chunks, std::int32_t* sums) {                \
        __m512i all[kCodeTile] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),            \
                                  _mm512_setzero_si512()};                                                           \
        std::size_t begin = 0;                                                                                       \
        for (const CodeChunk& chunk : chunks) {                                                                      \
            const __mmask64 inside = ~std::uint64_t{0} >> (kCodeBlockBytes - chunk.bytes);                           \
            const __m512i masks = _mm512_load_si512(chunk.masks);                                                    \
            __m512i code[kCodeTile], sum[kCodeTile];                                                                 \
            for (std::size_t i = 0; i < kCodeTile; ++i) {                                                            \
                code[i] = _mm512_maskz_loadu_epi8(inside, codes[i] + begin);                                         \
                sum[i] = _mm512_setzero_si512();                                                                     \
            }                                                                                                        \
            for (std::size_t step = 0; step < chunk.steps; ++step) {                                                 \
                const __m512i shifts = _mm512_load_si512(chunk.shifts[step]);                                        \
                const __m512i query = _mm512_load_si512(chunk.query[step]);                                          \
                for (std::size_t i = 0; i < kCodeTile; ++i) {                                                        \
                    const __m512i levels = _mm512_and_si512(_mm512_srlv_epi32(code[i], shifts), masks);              \
                    sum[i] = Add::add(sum[i], levels, query, chunk.is_bytes);                                        \
                }                                                                                                    \
            }                                                                                                        \
            const __m512i weights = _mm512_load_si512(chunk.weights);                                                \
            for (std::size_t i = 0; i < kCodeTile; ++i) {                                                            \
                all[i] = _mm512_add_epi32(all[i], _mm512_sllv_epi32(sum[i], weights));                               \
            }                                                                                                        \
            begin += kCodeBlockBytes;                                                                                \
        }                                                                                                            \
        sum_lanes(all, sums);                                                                                        \
    }                                                                                                                \
    /* Codes of one chunk, tile after tile: all that is the query's stays in registers. */                           \
    template <std::size_t kSteps>                                                                                    \
    attributes void short_tiles_##name(Codes codes, std::size_t tiles, const CodeChunk& chunk, std::int32_t* sums) { \
        const __mmask64 inside = ~std::uint64_t{0} >> (kCodeBlockBytes - chunk.bytes);                               \
        const __m512i masks = _mm512_load_si512(chunk.masks), weights = _mm512_load_si512(chunk.weights);            \
        __m512i shifts[kSteps], query[kSteps];                                                                       \
        for (std::size_t step = 0; step < kSteps; ++step) {                                                          \
            shifts[step] = _mm512_load_si512(chunk.shifts[step]);                                                    \
            query[step] = _mm512_load_si512(chunk.query[step]);                                                      \
        }                                                                                                            \
        for (std::size_t tile = 0; tile < tiles; ++tile, codes += kCodeTile, sums += kCodeTile) {                    \
            __m512i all[kCodeTile];                                                                                  \
            for (std::size_t i = 0; i < kCodeTile; ++i) {                                                            \
                const __m512i code = _mm512_maskz_loadu_epi8(inside, codes[i]);                                      \
                __m512i sum = _mm512_setzero_si512();                                                                \
                for (std::size_t step = 0; step < kSteps; ++step) {                                                  \
                    const __m512i levels = _mm512_and_si512(_mm512_srlv_epi32(code, shifts[step]), masks);           \
                    sum = Add::add(sum, levels, query[step], chunk.is_bytes);                                        \
                }                                                                                                    \
                all[i] = _mm512_sllv_epi32(sum, weights);                                                            \
            }                                                                                                        \
            sum_lanes(all, sums);                                                                                    \
        }                                                                                                            \
    }                                                                                                                \
    void tiles_##name(Codes codes, std::size_t tiles, std::span<const CodeChunk> chunks, std::int32_t* sums) {       \
        if (chunks.size() == 1) {                                                                                    \
            const CodeChunk& chunk = chunks.front();                                                                 \
            if (chunk.steps == 2) return short_tiles_##name<2>(codes, tiles, chunk, sums);                           \
            if (chunk.steps == 4) return short_tiles_##name<4>(codes, tiles, chunk, sums);                           \
            if (chunk.steps == 8) return short_tiles_##name<8>(codes, tiles, chunk, sums);                           \
        }                                                                                                            \
        for (std::size_t i = 0; i < tiles; ++i) tile_##name(codes + i * kCodeTile, chunks, sums + i * kCodeTile);    \
    }

LUTRA_TILES_512(vnni, AddVnni, LUTRA_VNNI)
LUTRA_TILES_512(avx512, AddAvx512, LUTRA_AVX512)

__attribute__((target("avx2"), always_inline)) inline __m256i add_avx2(__m256i sum, __m256i levels, __m256i query,
                                                                       bool is_bytes) {
    if (!is_bytes) {
        const __m256i pairs = _mm256_maddubs_epi16(levels, query);
        return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(levels, _mm256_set1_epi16(0xff)),
                                           _mm256_srai_epi16(_mm256_slli_epi16(query, 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(levels, 8), _mm256_srai_epi16(query, 8));
    return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}

// From byte `begin` on, 0 or 32.
__attribute__((target("avx2"), always_inline)) inline __m256i half_chunk(const std::uint8_t* code,
                                                                         const CodeChunk& chunk, std::size_t begin) {
    const __m256i places = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    const __m256i left = _mm256_set1_epi32(static_cast<int>(chunk.bytes) - static_cast<int>(begin));
    const __m256i bytes = _mm256_maskload_epi32((const int*)(code + begin), _mm256_cmpgt_epi32(left, places));
    const __m256i masks = _mm256_load_si256((const __m256i*)(chunk.masks + begin));
    __m256i sum = _mm256_setzero_si256();
    for (std::size_t step = 0; step < chunk.steps; ++step) {
        const __m256i shifts = _mm256_load_si256((const __m256i*)(chunk.shifts[step] + begin / 4));
        const __m256i query = _mm256_load_si256((const __m256i*)(chunk.query[step] + begin));
        sum = add_avx2(sum, _mm256_and_si256(_mm256_srlv_epi32(bytes, shifts), masks), query, chunk.is_bytes);
    }
    return _mm256_sllv_epi32(sum, _mm256_load_si256((const __m256i*)(chunk.weights + begin / 4)));
}

__attribute__((target("avx2"))) void tiles_avx2(Codes codes, std::size_t tiles, std::span<const CodeChunk> chunks,
                                                std::int32_t* sums) {
    for (std::size_t i = 0; i < tiles * kCodeTile; ++i) {
        __m256i all = _mm256_setzero_si256();
        const std::uint8_t* code = codes[i];
        for (const CodeChunk& chunk : chunks) {
            all = _mm256_add_epi32(all, half_chunk(code, chunk, 0));
            if (chunk.bytes > 32) all = _mm256_add_epi32(all, half_chunk(code, chunk, 32));
            code += kCodeBlockBytes;
        }
        __m128i half = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
        sums[i] = _mm_cvtsi128_si32(half);
    }
}

#endif

}  // namespace

CodeLanes::CodeLanes(std::span<const CodePart> parts, std::size_t record_bytes) {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        places_[i] = {parts[i].bits, bytes, parts[i].dimensions * parts[i].bits / 8};
        bytes += places_[i].size_bytes;
    }
    count_ = (bytes + kCodeBlockBytes - 1) / kCodeBlockBytes;
    chunks_ = std::make_unique<CodeChunk[]>(count_);  // all zero
    for (std::size_t c = 0; c < count_; ++c) {
        CodeChunk& chunk = chunks_[c];
        chunk.bytes = std::min(kCodeBlockBytes, record_bytes - c * kCodeBlockBytes);
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
            const std::size_t at = c * kCodeBlockBytes + lane * 4;
            for (const Place& place : std::span(places_, parts.size())) {
                if (at < place.begin_bytes || at >= place.begin_bytes + place.size_bytes) continue;
                const std::size_t steps = 8 / place.bits;
                chunk.steps = std::max(chunk.steps, steps);
                chunk.is_bytes = place.bits == 8;  // a part of them comes first, and takes whole chunks
                for (std::size_t step = 0; step < steps; ++step) {
                    chunk.shifts[step][lane] = static_cast<std::uint32_t>(step * place.bits);
                }
                std::memset(chunk.masks + lane * 4, (1 << place.bits) - 1, 4);
            }
        }
    }
}

// Dimensions lie in a part as code_dot.h has them in a code of its own.
void CodeLanes::set_part(std::size_t part, const std::int8_t* values, unsigned weight) {
    const Place& place = places_[part];
    const std::size_t steps = 8 / place.bits;
    for (std::size_t block = 0; block < place.size_bytes; block += kCodeBlockBytes) {
        const std::size_t width = std::min(kCodeBlockBytes, place.size_bytes - block);
        for (std::size_t step = 0; step < steps; ++step) {
            for (std::size_t j = 0; j < width; ++j) {
                const std::size_t at = place.begin_bytes + block + j;
                chunks_[at / kCodeBlockBytes].query[step][at % kCodeBlockBytes] = *values++;
            }
        }
    }
    for (std::size_t at = place.begin_bytes; at < place.begin_bytes + place.size_bytes; at += 4) {
        chunks_[at / kCodeBlockBytes].weights[at % kCodeBlockBytes / 4] = weight;
    }
}

unsigned CodeLanes::sum_bits(const CodePart& part) {
    const std::size_t most = ((std::size_t{1} << part.bits) - 1) * 127 * part.dimensions;
    return static_cast<unsigned>(std::bit_width(most));
}

LaneProducts lane_products(CodeLevel level) {
#if defined(__x86_64__)
    if (level == CodeLevel::kAvx512Vnni) return tiles_vnni;
    if (level == CodeLevel::kAvx512) return tiles_avx512;
    if (level == CodeLevel::kAvx2) return tiles_avx2;
#else
    (void)level;
#endif
    return tiles_portable;
}

}  // namespace lutra
