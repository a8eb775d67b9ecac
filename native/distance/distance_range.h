// Distances of any finite float32 vectors in 32 bits. Squares and products of float32 leave float32: what does not lie
// well inside it is kept in another form, which orders as the numbers do.
//
// From 2^-100 to 2^100, and as 0, a distance is itself. Beyond, on either side and of either sign, it has 20 bits of
// mantissa in place of 23, and its exponent the three bits more: 2^-316 to 2^324 fit, and a sum of 4096 squares of
// float32 lies within 2^-298 to 2^271. So one number in order of the other's bits is one in order of distance.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace lutra {

inline constexpr int kOrdinaryExponent = 100;
inline constexpr float kOrdinaryMost = 0x1p100f;
inline constexpr std::uint32_t kOrdinaryLeastBits = (127 - kOrdinaryExponent) << 23;
inline constexpr std::uint32_t kOrdinaryMostBits = (127 + kOrdinaryExponent) << 23;

// Whether a sum of squares or of products lies so well inside float32 that none of its terms can have left it. Not 0
// (it may be what is left of smaller ones), not an infinity and not NaN.
inline bool is_ordinary(float sum) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(sum) & 0x7fffffffu;
    return bits - kOrdinaryLeastBits <= kOrdinaryMostBits - kOrdinaryLeastBits;
}

// `value` is 0 or of 2^-316 to 2^324; what is not becomes the nearest that is.
inline float pack_distance(double value) {
    constexpr unsigned kDropped = 52 - 20;
    constexpr std::int64_t kFiniteMostBits = 0x7f7fffff;
    constexpr std::int64_t kLeast = std::int64_t{1023 - kOrdinaryExponent} << 20;
    constexpr std::int64_t kMost = std::int64_t{1023 + kOrdinaryExponent} << 20;
    const auto narrow = static_cast<float>(value);
    if (value == 0) return 0;
    if (is_ordinary(narrow)) return narrow;
    const std::uint64_t bits = std::bit_cast<std::uint64_t>(std::abs(value));
    const auto rounded = static_cast<std::int64_t>((bits + (std::uint64_t{1} << (kDropped - 1))) >> kDropped);
    const std::int64_t packed = rounded <= kLeast ? std::max<std::int64_t>(kOrdinaryLeastBits + (rounded - kLeast), 1)
                                                  : std::min(kOrdinaryMostBits + (rounded - kMost), kFiniteMostBits);
    return std::copysign(std::bit_cast<float>(static_cast<std::uint32_t>(packed)), static_cast<float>(value));
}

// What was packed; infinities and NaN as they are.
inline double unpack_distance(float packed) {
    constexpr unsigned kDropped = 52 - 20;
    if (is_ordinary(packed) || packed == 0 || !std::isfinite(packed)) return packed;
    const std::int64_t bits = std::bit_cast<std::uint32_t>(packed) & 0x7fffffffu;
    const std::int64_t wide = bits < kOrdinaryLeastBits
                                  ? (std::int64_t{1023 - kOrdinaryExponent} << 20) + (bits - kOrdinaryLeastBits)
                                  : (std::int64_t{1023 + kOrdinaryExponent} << 20) + (bits - kOrdinaryMostBits);
    const double value = std::bit_cast<double>(static_cast<std::uint64_t>(wide) << kDropped);
    return std::signbit(packed) ? -value : value;
}

}  // namespace lutra
