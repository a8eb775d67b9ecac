// What a record keeps of a vector beside its code: lengths, and how far the code is off.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace lutra {

inline constexpr std::size_t kCodeFactorBytes = 8;

// What follows the code in a record.
struct CodeFactors {
    float norm;  // |r|; NaN: of what is not ordinary, with |r| and t as `unpack_factors` reads them
    std::uint32_t scale_and_ratio;

    bool is_ordinary() const { return norm == norm; }

    // t, to a relative 2^-17.
    float scale() const { return std::bit_cast<float>(scale_and_ratio & ~0xffu); }
    // |e| / |r|, rounded up to 4 bits of mantissa; the other 4 are the exponent, from 2^-12 on, and 0 is 0.
    float ratio() const {
        const std::uint32_t bits = scale_and_ratio & 0xffu;
        return bits == 0 ? 0 : std::bit_cast<float>((bits + kRatioLeast) << kRatioShift);
    }

    // Of the product with a query, but that it is no more than that of the lengths.
    bool tells_nothing() const { return scale() == 0 && ratio() > 0; }

    static constexpr std::uint32_t kRatioShift = 19;
    static constexpr std::uint32_t kRatioLeast = (127 - 12) << 4;
    static constexpr float kRatioMost = 15.5f;
};

// |r|, t and |e| / |r|, as a record keeps them.
CodeFactors pack_factors(float norm, float scale, float ratio);

// The same of any record.
struct WideFactors {
    double norm;
    double scale;
    double ratio;
};

WideFactors unpack_factors(const CodeFactors& factors);

// `ordinary` with |r| and t as given, which may be of a length beyond 1e18 or below 1e-18.
CodeFactors with_lengths(const CodeFactors& ordinary, double norm, double scale);

}  // namespace lutra
