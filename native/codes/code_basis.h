// Directions that vectors are turned to before they are coded: those along which they vary most, first.
//
// A code then spends its bits where the variance is (Gersho & Gray, Vector Quantization and Signal Compression, 1992,
// ch. 8; for RaBitQ codes: MRQ, 2024, and SAQ, 2025): the first directions get 8 or 4 bits, the next 2 and 1, the
// rest none. Directions of equal bits are a part; each part is rotated at random within itself, so that its elements
// vary alike.
//
// Directions are kept as int16 multiples of 1 / 32767, vectors are rounded to multiples of their length / 32767: sums
// of products of the two are exact in 32 bits (Cauchy-Schwarz), hence the same at every SIMD level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "code_arithmetic.h"
#include "code_dot.h"
#include "rotation.h"

namespace lutra {

inline constexpr std::size_t kCodePartsMax = 4;
// Along 4096 directions, were they one and the same, a residual comes out 64 times as long; in steps that has to fit
// an int32.
inline constexpr float kCodeStepMin = 1e-7f;
inline constexpr float kCodeStepMax = 1e6f;

struct CodePart {
    unsigned bits;           // 8, 4, 2 or 1; each at most once, in this order
    std::size_t dimensions;  // a multiple of 64
    float step;              // between levels, as a share of the length of a residual: kCodeStepMin to kCodeStepMax
};

// Throws std::invalid_argument where one of `directions` [count, dimension] is longer than a unit vector times 32767:
// sums of products would not fit.
void require_unit_directions(const std::int16_t* directions, std::size_t count, std::size_t dimension);

// Immutable.
class CodeBasis {
  public:
    // `directions` [sum of the parts' dimensions, dimension], each of about unit length times 32767 (or all zero, to
    // fill a part up). `spread`: the standard deviation of a code's error in a direction, as a share of its length.
    CodeBasis(std::size_t dimension, const std::int16_t* directions, std::vector<CodePart> parts, float spread,
              std::uint64_t seed);

    const std::vector<CodePart>& parts() const { return parts_; }
    float spread() const { return spread_; }
    // Of all parts together.
    std::size_t size() const { return size_; }
    std::size_t code_bytes() const { return code_bytes_; }

    // Fills `projected` [size], 64-byte aligned, from `vector`, aligned too and zeros up to a multiple of 64. `length`,
    // that of the vector, is 1e-18 to 1e18.
    void project(const float* vector, float length, CodeLevel level, float* projected) const;

  private:
    std::size_t dimension_;
    std::size_t stride_;  // elements of a direction with the zeros behind it
    std::vector<CodePart> parts_;
    float spread_;
    std::size_t size_ = 0;
    std::size_t code_bytes_ = 0;
    std::vector<Rotation> rotations_;
    std::unique_ptr<std::int16_t[], AlignedDelete> directions_;  // [size, stride]
};

}  // namespace lutra
