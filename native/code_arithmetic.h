// What making codes and rounding queries does to every element, for each SIMD level; all levels give the same results.
#pragma once

#include <cstddef>
#include <cstdint>

#include "code_dot.h"
#include "rotation.h"

namespace lutra {

inline constexpr std::size_t kPaddedDimensionMax = 4096;

struct Preparation {
    std::size_t dimension;
    bool normalise;         // to length 1; a vector of length 0 stays
    const float* centroid;  // [padded dimension], 64-byte aligned; nullptr: nothing is taken away
    const Rotation& rotation;
};

struct SquaredLengths {
    float vector;   // as it was given
    float rotated;  // normalised, less the centroid, rotated
};

// How well a code c fits the rotated residual r.
struct Fit {
    float product;  // <c, r>
    float squared;  // <c, c>
};

struct RoundedQuery {
    std::int32_t sum;
    float squared_error;
};

// Arrays of padded dimension are 64-byte aligned.
struct CodeArithmetic {
    SquaredLengths (*prepare)(const Preparation& how, const float* vector, float* rotated);
    // Fills `code` with the packed code nearest in direction to the rotated residual of length `norm`, above 0.
    Fit (*encode)(const float* rotated, std::size_t size, unsigned bits, float norm, std::uint8_t* code);
    // The nearest multiples of `step`, which is the largest absolute element / 127.
    RoundedQuery (*round)(const float* rotated, std::size_t size, float step, std::int8_t* rounded);
};

const CodeArithmetic& code_arithmetic(CodeLevel level);

}  // namespace lutra
