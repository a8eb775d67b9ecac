#include "code_factors.h"

#include <algorithm>
#include <cmath>

namespace lutra {

static_assert(sizeof(CodeFactors) == kCodeFactorBytes);

namespace {

std::uint32_t ratio_bits(float ratio) {
    if (!(ratio > 0)) return 0;
    constexpr std::uint32_t kRoundUp = (1u << CodeFactors::kRatioShift) - 1;
    const std::uint32_t up = (std::bit_cast<std::uint32_t>(ratio) + kRoundUp) >> CodeFactors::kRatioShift;
    return up <= CodeFactors::kRatioLeast ? 1 : std::min(up - CodeFactors::kRatioLeast, 255u);
}

// Lengths of residuals that are not ordinary, and the scales of their codes: 9 bits of exponent, 14 of mantissa.
constexpr unsigned kWideMantissaBits = 14;
constexpr int kWideExponentLeast = -200;

std::uint32_t wide_bits(double value) {
    constexpr unsigned kDropped = 52 - kWideMantissaBits;
    if (!(value > 0)) return 0;
    const std::uint64_t bits = std::bit_cast<std::uint64_t>(value) + (std::uint64_t{1} << (kDropped - 1));
    const auto most = static_cast<std::int64_t>((1u << 23) - 1);
    const std::int64_t least = std::int64_t{1023 + kWideExponentLeast} << kWideMantissaBits;
    return static_cast<std::uint32_t>(std::clamp(static_cast<std::int64_t>(bits >> kDropped) - least, {1}, most));
}

double of_wide_bits(std::uint32_t bits) {
    constexpr double kOne = 1u << kWideMantissaBits;
    if (bits == 0) return 0;
    const double mantissa = 1 + (bits & ((1u << kWideMantissaBits) - 1)) / kOne;
    return std::ldexp(mantissa, static_cast<int>(bits >> kWideMantissaBits) + kWideExponentLeast);
}

// The bits of a quiet NaN that are free: 22, and the sign.
constexpr std::uint32_t kQuietNan = 0x7fc00000u;

}  // namespace

CodeFactors pack_factors(float norm, float scale, float ratio) {
    const std::uint32_t rounded = (std::bit_cast<std::uint32_t>(scale) + 0x80u) & ~0xffu;
    return {norm, rounded | ratio_bits(ratio)};
}

WideFactors unpack_factors(const CodeFactors& factors) {
    if (factors.is_ordinary()) return {factors.norm, factors.scale(), factors.ratio()};
    const auto norm_bits = std::bit_cast<std::uint32_t>(factors.norm);
    return {of_wide_bits((norm_bits & ~kQuietNan) >> 31 << 22 | (norm_bits & (kQuietNan ^ 0x7fffffffu))),
            of_wide_bits(factors.scale_and_ratio >> 8), factors.ratio()};
}

CodeFactors with_lengths(const CodeFactors& ordinary, double norm, double scale) {
    const std::uint32_t norm_bits = wide_bits(norm);
    return {std::bit_cast<float>(kQuietNan | norm_bits >> 22 << 31 | (norm_bits & (kQuietNan ^ 0x7fffffffu))),
            wide_bits(scale) << 8 | (ordinary.scale_and_ratio & 0xffu)};
}

}  // namespace lutra
