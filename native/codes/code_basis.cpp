#include "code_basis.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

#include "code_arithmetic.h"

#if defined(__x86_64__)
// gcc 12 warns of its own header (its bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#endif

namespace lutra {

namespace {

constexpr std::size_t kStrideMultiple = 32;  // elements of a 512-bit vector
constexpr std::size_t kTile = 4;             // directions taken at once: the vector is loaded once for all

using Tile = const std::int16_t* const (&)[kTile];
using TileProducts = void (*)(Tile directions, const std::int16_t* vector, std::size_t stride, std::int32_t* products);

typedef std::int16_t Shorts __attribute__((vector_size(16)));
typedef std::int32_t Ints __attribute__((vector_size(32)));

void tile_portable(Tile directions, const std::int16_t* vector, std::size_t stride, std::int32_t* products) {
    for (std::size_t i = 0; i < kTile; ++i) {
        Ints sum = {};
        for (std::size_t at = 0; at < stride; at += 8) {
            Shorts x, y;
            std::memcpy(&x, directions[i] + at, sizeof x);
            std::memcpy(&y, vector + at, sizeof y);
            sum += __builtin_convertvector(x, Ints) * __builtin_convertvector(y, Ints);
        }
        products[i] = 0;
        for (int lane = 0; lane < 8; ++lane) products[i] += sum[lane];
    }
}

#if defined(__x86_64__)

__attribute__((target("avx2"))) void tile_avx2(Tile directions, const std::int16_t* vector, std::size_t stride,
                                               std::int32_t* products) {
    __m256i sums[kTile] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(),
                           _mm256_setzero_si256()};
    for (std::size_t at = 0; at < stride; at += 16) {
        const __m256i y = _mm256_load_si256((const __m256i*)(vector + at));
        for (std::size_t i = 0; i < kTile; ++i) {
            const __m256i x = _mm256_load_si256((const __m256i*)(directions[i] + at));
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(x, y));
        }
    }
    for (std::size_t i = 0; i < kTile; ++i) {
        __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sums[i]), _mm256_extracti128_si256(sums[i], 1));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
        products[i] = _mm_cvtsi128_si32(half);
    }
}

__attribute__((target("avx512f,avx512bw"))) void tile_avx512(Tile directions, const std::int16_t* vector,
                                                             std::size_t stride, std::int32_t* products) {
    __m512i sums[kTile] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                           _mm512_setzero_si512()};
    for (std::size_t at = 0; at < stride; at += 32) {
        const __m512i y = _mm512_load_si512(vector + at);
        for (std::size_t i = 0; i < kTile; ++i) {
            const __m512i x = _mm512_load_si512(directions[i] + at);
            sums[i] = _mm512_add_epi32(sums[i], _mm512_madd_epi16(x, y));
        }
    }
    for (std::size_t i = 0; i < kTile; ++i) products[i] = _mm512_reduce_add_epi32(sums[i]);
}

#endif

TileProducts tile_products(CodeLevel level) {
#if defined(__x86_64__)
    if (level == CodeLevel::kAvx512Vnni || level == CodeLevel::kAvx512) return tile_avx512;
    if (level == CodeLevel::kAvx2) return tile_avx2;
#else
    (void)level;
#endif
    return tile_portable;
}

}  // namespace

void require_unit_directions(const std::int16_t* directions, std::size_t count, std::size_t dimension) {
    constexpr double kLengthMax = 33'100;  // rounding of 4096 elements included
    for (std::size_t row = 0; row < count; ++row) {
        double squared = 0;
        for (std::size_t i = 0; i < dimension; ++i) {
            const double element = directions[row * dimension + i];
            squared += element * element;
        }
        if (squared > kLengthMax * kLengthMax) throw std::invalid_argument("a direction is longer than 1");
    }
}

CodeBasis::CodeBasis(std::size_t dimension, const std::int16_t* directions, std::vector<CodePart> parts, float spread,
                     std::uint64_t seed)
    : dimension_(dimension),
      stride_((dimension + kStrideMultiple - 1) / kStrideMultiple * kStrideMultiple),
      parts_(std::move(parts)),
      spread_(spread) {
    for (const CodePart& part : parts_) {
        rotations_.emplace_back(part.dimensions, seed + rotations_.size());
        size_ += part.dimensions;
        code_bytes_ += part.dimensions * part.bits / 8;
    }
    directions_ = aligned_array<std::int16_t>(size_ * stride_);
    std::fill_n(directions_.get(), size_ * stride_, std::int16_t{0});
    for (std::size_t i = 0; i < size_; ++i) {
        std::copy_n(directions + i * dimension, dimension, directions_.get() + i * stride_);
    }
}

void CodeBasis::project(const float* vector, float length, CodeLevel level, float* projected) const {
    alignas(64) std::int16_t rounded[kPaddedDimensionMax];
    const CodeArithmetic& arithmetic = code_arithmetic(level);
    arithmetic.round_to_int16(vector, stride_, 32767 / length, rounded);
    const TileProducts products = tile_products(level);
    std::int32_t found[kTile];
    // Of the length that rounding gave, so that it cancels out: codes of 8 bits would be seen to fit too well, or ill.
    products({rounded, rounded, rounded, rounded}, rounded, stride_, found);
    const float scale = length / (32767.0f * std::sqrt(static_cast<float>(found[0])));
    const std::int16_t* direction = directions_.get();
    for (std::size_t i = 0; i < size_; i += kTile, direction += kTile * stride_) {
        products({direction, direction + stride_, direction + 2 * stride_, direction + 3 * stride_}, rounded, stride_,
                 found);
        for (std::size_t j = 0; j < kTile; ++j) projected[i + j] = static_cast<float>(found[j]) * scale;
    }
    for (std::size_t part = 0, begin = 0; part < parts_.size(); begin += parts_[part++].dimensions) {
        arithmetic.rotate(rotations_[part], projected + begin);
    }
}

}  // namespace lutra
