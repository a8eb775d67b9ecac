#include "code_arithmetic.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lutra {

namespace {

#define LUTRA_INLINE inline __attribute__((always_inline))

// Sums are kept in sixteen lanes whatever the SIMD level, so that they are taken in the same order at each.
constexpr std::size_t kSumLanes = 16;

template <int lanes>
using FloatLanes = typename detail::Lanes<lanes>::Float;
template <int lanes>
using IntLanes = typename detail::Lanes<lanes>::Int;

template <int lanes>
struct Sum {
    static constexpr std::size_t kParts = kSumLanes / lanes;
    FloatLanes<lanes> part[kParts] = {};

    LUTRA_INLINE float total() const {
        float sums[kSumLanes];
        std::memcpy(sums, part, sizeof sums);
        for (std::size_t width = kSumLanes / 2; width > 0; width /= 2) {
            for (std::size_t i = 0; i < width; ++i) sums[i] += sums[i + width];
        }
        return sums[0];
    }
};

template <int lanes>
LUTRA_INLINE float squared_length(const float* values, std::size_t size) {
    const auto* x = reinterpret_cast<const FloatLanes<lanes>*>(values);
    Sum<lanes> sum;
    for (std::size_t i = 0; i < size / lanes; i += sum.kParts) {
        for (std::size_t part = 0; part < sum.kParts; ++part) sum.part[part] += x[i + part] * x[i + part];
    }
    return sum.total();
}

template <int lanes>
LUTRA_INLINE SquaredLengths prepare(const Preparation& how, const float* vector, float* rotated) {
    const std::size_t size = how.size;
    std::memcpy(rotated, vector, how.dimension * sizeof(float));
    std::fill(rotated + how.dimension, rotated + size, 0.0f);
    SquaredLengths squared{squared_length<lanes>(rotated, size), 0};
    auto* x = reinterpret_cast<FloatLanes<lanes>*>(rotated);
    if (how.normalise && squared.vector > 0) {
        const float scale = 1 / std::sqrt(squared.vector);
        for (std::size_t i = 0; i < size / lanes; ++i) x[i] *= scale;
    }
    if (how.centroid != nullptr) {
        const auto* centroid = reinterpret_cast<const FloatLanes<lanes>*>(how.centroid);
        for (std::size_t i = 0; i < size / lanes; ++i) x[i] -= centroid[i];
    }
    if (how.rotation != nullptr) how.rotation->apply<lanes>(rotated);
    squared.residual = squared_length<lanes>(rotated, size);
    return squared;
}

// Codes are the odd integers c = ±(2 m + 1); m, the level, is |r| / step rounded down and at most `most`.
template <int lanes>
LUTRA_INLINE void find_level(const FloatLanes<lanes>& side, float inverse_step, std::int32_t most,
                             IntLanes<lanes>& level) {
    level = __builtin_convertvector(side * inverse_step, IntLanes<lanes>);
    const IntLanes<lanes> too_large = level > most;
    level = (level & ~too_large) | (too_large & most);
}

template <int lanes>
LUTRA_INLINE Fit fit(const float* sides, std::size_t size, float inverse_step, std::int32_t most) {
    const auto* x = reinterpret_cast<const FloatLanes<lanes>*>(sides);
    Sum<lanes> product, squared;
    for (std::size_t i = 0; i < size / lanes; i += product.kParts) {
        for (std::size_t part = 0; part < product.kParts; ++part) {
            IntLanes<lanes> level;
            find_level<lanes>(x[i + part], inverse_step, most, level);
            const FloatLanes<lanes> code = __builtin_convertvector(level + level + 1, FloatLanes<lanes>);
            product.part[part] += code * x[i + part];
            squared.part[part] += code * code;
        }
    }
    return {product.total(), squared.total()};
}

// Of 1 or 2 bits, where m is 0 or 1: <c, r> = sum of |r| + 2 * sum of those at level 1, <c, c> = size + 8 * their
// number.
template <int lanes>
LUTRA_INLINE Fit fit_two_levels(const float* sides, std::size_t size, float inverse_step, float side_sum) {
    const auto* x = reinterpret_cast<const FloatLanes<lanes>*>(sides);
    Sum<lanes> upper;
    IntLanes<lanes> count = {};
    for (std::size_t i = 0; i < size / lanes; i += upper.kParts) {
        for (std::size_t part = 0; part < upper.kParts; ++part) {
            const IntLanes<lanes> is_upper = x[i + part] * inverse_step >= 1.0f;
            upper.part[part] += (FloatLanes<lanes>)((IntLanes<lanes>)x[i + part] & is_upper);
            count -= is_upper;
        }
    }
    std::int32_t uppers = 0;
    for (int i = 0; i < lanes; ++i) uppers += count[i];
    return {side_sum + 2 * upper.total(), static_cast<float>(size) + 8 * static_cast<float>(uppers)};
}

// Steps tried for each vector: which one maximises the cosine differs between vectors. With few bits it lies about the
// best step of a uniform quantiser of normal values (Max, 1960), in standard deviations; with 8, where hardly anything
// is worth cutting off, about what gives the largest |r| the last level.
constexpr float kNormalStep2 = 0.9957f;
constexpr float kNormalStep4 = 0.3352f;
constexpr float kFewBitsSteps[] = {0.70f, 0.80f, 0.88f, 0.95f, 1.02f, 1.10f, 1.20f, 1.35f};
constexpr float kEightBitsSteps[] = {0.90f, 0.94f, 0.97f, 1.0f, 1.02f, 1.05f, 1.10f, 1.16f};

template <int lanes>
LUTRA_INLINE float typical_step(const float* sides, std::size_t size, unsigned bits, float norm) {
    if (bits < 8) return norm / std::sqrt(static_cast<float>(size)) * (bits == 2 ? kNormalStep2 : kNormalStep4);
    const auto* x = reinterpret_cast<const FloatLanes<lanes>*>(sides);
    FloatLanes<lanes> most = x[0];
    for (std::size_t i = 1; i < size / lanes; ++i) most = x[i] > most ? x[i] : most;
    float largest = 0;
    for (int i = 0; i < lanes; ++i) largest = std::max(largest, most[i]);
    return largest / 128;
}

struct Choice {
    float inverse_step = 0;  // 0: level 0 everywhere
    Fit fit{0, 1};
};

template <int lanes>
LUTRA_INLINE Choice choose_step(const float* sides, std::size_t size, unsigned bits, float norm) {
    const auto* x = reinterpret_cast<const FloatLanes<lanes>*>(sides);
    Sum<lanes> sum;
    for (std::size_t i = 0; i < size / lanes; i += sum.kParts) {
        for (std::size_t part = 0; part < sum.kParts; ++part) sum.part[part] += x[i + part];
    }
    const float side_sum = sum.total();
    Choice best{0, {side_sum, static_cast<float>(size)}};
    if (bits == 1) return best;
    const float typical = typical_step<lanes>(sides, size, bits, norm);
    const std::int32_t most = (1 << (bits - 1)) - 1;
    for (const float step : bits < 8 ? kFewBitsSteps : kEightBitsSteps) {
        const float inverse = 1 / (typical * step);
        const Fit found = bits == 2 ? fit_two_levels<lanes>(sides, size, inverse, side_sum)
                                    : fit<lanes>(sides, size, inverse, most);
        if (found.product * found.product * best.fit.squared > best.fit.product * best.fit.product * found.squared) {
            best = {inverse, found};
        }
    }
    return best;
}

// Packs `levels` [padded dimension], each below 2^bits. With the width known the compiler unrolls it to a few vectors.
template <unsigned bits>
LUTRA_INLINE void pack_block(const std::uint8_t* levels, std::size_t width, std::uint8_t* code) {
    for (std::size_t j = 0; j < width; ++j) {
        unsigned packed = 0;
        for (unsigned k = 0; k < 8 / bits; ++k) packed |= static_cast<unsigned>(levels[k * width + j]) << (k * bits);
        code[j] = static_cast<std::uint8_t>(packed);
    }
}

template <unsigned bits>
LUTRA_INLINE void pack(const std::uint8_t* levels, std::size_t size, std::uint8_t* code) {
    const CodeShape shape = code_shape(size * bits / 8);
    for (std::size_t block = 0; block < shape.blocks; ++block) {
        pack_block<bits>(levels + block * kCodeBlockBytes * (8 / bits), kCodeBlockBytes,
                         code + block * kCodeBlockBytes);
    }
    if (shape.tail_bytes == 0) return;
    const std::size_t done = shape.blocks * kCodeBlockBytes;
    pack_block<bits>(levels + done * (8 / bits), shape.tail_bytes, code + done);
}

// Fills `code` with the packed levels that a step gives.
template <int lanes>
LUTRA_INLINE void encode_step(const float* rotated, std::size_t size, unsigned bits, float inverse_step,
                              std::uint8_t* code) {
    const auto* x = reinterpret_cast<const FloatLanes<lanes>*>(rotated);
    alignas(64) std::int32_t wide[kPaddedDimensionMax];
    auto* out = reinterpret_cast<IntLanes<lanes>*>(wide);
    const std::int32_t most = (1 << (bits - 1)) - 1;
    for (std::size_t i = 0; i < size / lanes; ++i) {
        IntLanes<lanes> level;
        find_level<lanes>((FloatLanes<lanes>)((IntLanes<lanes>)x[i] & 0x7fffffff), inverse_step, most, level);
        // u = most + 1 + m on the positive side, most - m, which is ~(m - most - 1), on the negative one.
        const IntLanes<lanes> sign = (IntLanes<lanes>)x[i] >> 31;
        out[i] = ((level + (most + 1)) & ~sign) | ((most - level) & sign);
    }
    alignas(64) std::uint8_t levels[kPaddedDimensionMax];
    for (std::size_t i = 0; i < size; ++i) levels[i] = static_cast<std::uint8_t>(wide[i]);
    if (bits == 1) pack<1>(levels, size, code);
    if (bits == 2) pack<2>(levels, size, code);
    if (bits == 4) pack<4>(levels, size, code);
    if (bits == 8) pack<8>(levels, size, code);
}

template <int lanes>
LUTRA_INLINE void absolute(const float* values, std::size_t size, float* sides) {
    const auto* x = reinterpret_cast<const FloatLanes<lanes>*>(values);
    auto* side = reinterpret_cast<FloatLanes<lanes>*>(sides);
    for (std::size_t i = 0; i < size / lanes; ++i) {
        side[i] = (FloatLanes<lanes>)((IntLanes<lanes>)x[i] & 0x7fffffff);
    }
}

template <int lanes>
LUTRA_INLINE Fit encode(const float* rotated, std::size_t size, unsigned bits, float norm, std::uint8_t* code) {
    alignas(64) float sides[kPaddedDimensionMax];
    absolute<lanes>(rotated, size, sides);
    const Choice choice = choose_step<lanes>(sides, size, bits, norm);
    encode_step<lanes>(rotated, size, bits, choice.inverse_step, code);
    return choice.fit;
}

template <int lanes>
LUTRA_INLINE void round_to_int16(const float* values, std::size_t size, float scale, std::int16_t* rounded) {
    alignas(64) std::int32_t wide[kPaddedDimensionMax];
    const auto* x = reinterpret_cast<const FloatLanes<lanes>*>(values);
    auto* out = reinterpret_cast<IntLanes<lanes>*>(wide);
    for (std::size_t i = 0; i < size / lanes; ++i) {
        // Rounded down from 0.5 above, where the conversion, towards 0, does that: above 0.
        const FloatLanes<lanes> moved = x[i] * scale + 32768.5f;
        out[i] = __builtin_convertvector(moved, IntLanes<lanes>) - 32768;
    }
    for (std::size_t i = 0; i < size; ++i) {
        rounded[i] = static_cast<std::int16_t>(std::clamp(wide[i], -32767, 32767));
    }
}

template <int lanes>
LUTRA_INLINE RoundedQuery round(const float* rotated, std::size_t size, float step, std::int8_t* rounded) {
    alignas(64) std::int32_t wide[kPaddedDimensionMax];
    const auto* x = reinterpret_cast<const FloatLanes<lanes>*>(rotated);
    auto* out = reinterpret_cast<IntLanes<lanes>*>(wide);
    const float inverse = 1 / step;
    Sum<lanes> error;
    for (std::size_t i = 0; i < size / lanes; i += error.kParts) {
        for (std::size_t part = 0; part < error.kParts; ++part) {
            // Rounded down from 0.5 above, where the conversion, towards 0, does that: at 1 to 255.
            const FloatLanes<lanes> moved = x[i + part] * inverse + 128.5f;
            out[i + part] = __builtin_convertvector(moved, IntLanes<lanes>) - 128;
            const FloatLanes<lanes> missed =
                x[i + part] - __builtin_convertvector(out[i + part], FloatLanes<lanes>) * step;
            error.part[part] += missed * missed;
        }
    }
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < size; ++i) {
        const std::int32_t value = std::min(wide[i], 127);
        sum += value;
        rounded[i] = static_cast<std::int8_t>(value);
    }
    return {sum, error.total()};
}

#define LUTRA_CODE_ARITHMETIC(level, lanes, attributes)                                                               \
    attributes SquaredLengths prepare_##level(const Preparation& how, const float* vector, float* rotated) {          \
        return prepare<lanes>(how, vector, rotated);                                                                  \
    }                                                                                                                 \
    attributes Fit encode_##level(const float* rotated, std::size_t size, unsigned bits, float norm,                  \
                                  std::uint8_t* code) {                                                               \
        return encode<lanes>(rotated, size, bits, norm, code);                                                        \
    }                                                                                                                 \
    attributes RoundedQuery round_##level(const float* rotated, std::size_t size, float step, std::int8_t* rounded) { \
        return round<lanes>(rotated, size, step, rounded);                                                            \
    }                                                                                                                 \
    attributes Fit fit_##level(const float* sides, std::size_t size, unsigned bits, float inverse_step) {              \
        return fit<lanes>(sides, size, inverse_step, (1 << (bits - 1)) - 1);                                          \
    }                                                                                                                 \
    attributes void encode_step_##level(const float* rotated, std::size_t size, unsigned bits, float inverse_step,    \
                                        std::uint8_t* code) {                                                         \
        encode_step<lanes>(rotated, size, bits, inverse_step, code);                                                  \
    }                                                                                                                 \
    attributes void absolute_##level(const float* values, std::size_t size, float* sides) {                           \
        absolute<lanes>(values, size, sides);                                                                         \
    }                                                                                                                 \
    attributes void round_to_int16_##level(const float* values, std::size_t size, float scale,                        \
                                           std::int16_t* rounded) {                                                   \
        round_to_int16<lanes>(values, size, scale, rounded);                                                          \
    }                                                                                                                 \
    attributes void rotate_##level(const Rotation& rotation, float* values) { rotation.apply<lanes>(values); }        \
    constexpr CodeArithmetic kArithmetic_##level{                                                                     \
        prepare_##level,     encode_##level,   round_##level,          fit_##level,                                   \
        encode_step_##level, absolute_##level, round_to_int16_##level, rotate_##level};

LUTRA_CODE_ARITHMETIC(portable, 4, )
#if defined(__x86_64__)
LUTRA_CODE_ARITHMETIC(avx2, 8, __attribute__((target("avx2"))))
LUTRA_CODE_ARITHMETIC(avx512, 16, __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512"))))
#endif

}  // namespace

const CodeArithmetic& code_arithmetic(CodeLevel level) {
#if defined(__x86_64__)
    if (level == CodeLevel::kAvx512Vnni || level == CodeLevel::kAvx512) return kArithmetic_avx512;
    if (level == CodeLevel::kAvx2) return kArithmetic_avx2;
#else
    (void)level;
#endif
    return kArithmetic_portable;
}

}  // namespace lutra
