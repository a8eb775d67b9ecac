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
    std::size_t size;          // dimension padded to a multiple of 64
    bool normalise;            // to length 1; a vector of length 0 stays
    const float* centroid;     // [size], 64-byte aligned; nullptr: nothing is taken away
    const Rotation* rotation;  // of `size` elements; nullptr: none
};

struct SquaredLengths {
    float vector;    // as it was given
    float residual;  // normalised, less the centroid; that a rotation changes nothing but rounding
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
    // How well the code of `sides` (absolute values) with so many bits and that step fits; of 1 bit the step is none.
    Fit (*fit)(const float* sides, std::size_t size, unsigned bits, float inverse_step);
    // Fills `code` with the packed code of that step.
    void (*encode_step)(const float* rotated, std::size_t size, unsigned bits, float inverse_step, std::uint8_t* code);
    void (*absolute)(const float* values, std::size_t size, float* sides);
    // The nearest integers to value * scale, which are at most 32767 but for rounding.
    void (*round_to_int16)(const float* values, std::size_t size, float scale, std::int16_t* rounded);
    void (*rotate)(const Rotation& rotation, float* values);
};

const CodeArithmetic& code_arithmetic(CodeLevel level);

}  // namespace lutra
