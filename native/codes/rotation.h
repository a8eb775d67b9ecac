// A random rotation that costs a few passes of additions, for any dimension.
//
// Rounds of: random signs; a fast Hadamard transform over the longest power of two of elements, at the front in one
// round and at the back in the next; and, where that is not all of them, the two halves mixed pairwise. The idea is
// the RaBitQ library's. Every operation is element by element, so results do not depend on the SIMD level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lutra {

inline constexpr std::size_t kRotationMultiple = 64;

// SplitMix64: the same numbers from the same state everywhere.
std::uint64_t next_random(std::uint64_t& state);

class Rotation {
  public:
    // Of `dimension` elements filled up with zeros to a multiple of 64.
    Rotation(std::size_t dimension, std::uint64_t seed);

    std::size_t size() const { return size_; }

    // In place; `values` [size], 64-byte aligned. `lanes`: 16, 8 or 4, what the caller's SIMD level holds.
    template <int lanes>
    inline __attribute__((always_inline)) void apply(float* values) const;

  private:
    std::size_t size_;
    std::size_t window_;
    std::size_t rounds_;
    std::vector<float> factors_;  // [rounds, size]: random signs, times 1 / sqrt(window) inside the window
};

namespace detail {

template <int lanes>
struct Lanes {
    typedef float Float __attribute__((vector_size(lanes * sizeof(float)), may_alias));
    typedef std::int32_t Int __attribute__((vector_size(lanes * sizeof(float))));
};

// Butterflies between elements of the same vector: element i with i ^ stride. (Vectors go by reference: to pass one by
// value is another ABI at each SIMD level, of which compilers warn even where all is inlined.)
template <int lanes, int stride>
inline __attribute__((always_inline)) void butterfly_within(typename Lanes<lanes>::Float& x) {
    typename Lanes<lanes>::Int other;
    typename Lanes<lanes>::Float sign;
    for (int i = 0; i < lanes; ++i) {
        other[i] = i ^ stride;
        sign[i] = (i & stride) != 0 ? -1.0f : 1.0f;
    }
    x = __builtin_shuffle(x, other) + x * sign;
}

template <int lanes>
inline __attribute__((always_inline)) void hadamard(float* values, std::size_t size) {
    using Float = typename Lanes<lanes>::Float;
    Float* x = reinterpret_cast<Float*>(values);
    const std::size_t count = size / lanes;
    for (std::size_t i = 0; i < count; ++i) {
        Float v = x[i];
        butterfly_within<lanes, 1>(v);
        butterfly_within<lanes, 2>(v);
        if constexpr (lanes >= 8) butterfly_within<lanes, 4>(v);
        if constexpr (lanes >= 16) butterfly_within<lanes, 8>(v);
        x[i] = v;
    }
    for (std::size_t stride = 1; stride < count; stride *= 2) {
        for (std::size_t block = 0; block < count; block += 2 * stride) {
            for (std::size_t i = block; i < block + stride; ++i) {
                const Float a = x[i], b = x[i + stride];
                x[i] = a + b;
                x[i + stride] = a - b;
            }
        }
    }
}

}  // namespace detail

template <int lanes>
inline __attribute__((always_inline)) void Rotation::apply(float* values) const {
    using Float = typename detail::Lanes<lanes>::Float;
    Float* x = reinterpret_cast<Float*>(values);
    const std::size_t count = size_ / lanes;
    for (std::size_t round = 0; round < rounds_; ++round) {
        const float* factors = factors_.data() + round * size_;
        for (std::size_t i = 0; i < count; ++i) {
            Float factor;
            __builtin_memcpy(&factor, factors + i * lanes, sizeof factor);
            x[i] *= factor;
        }
        detail::hadamard<lanes>(values + (round % 2 == 0 ? 0 : size_ - window_), window_);
        if (window_ == size_) continue;
        constexpr float kHalfRoot = 0.70710678f;
        for (std::size_t i = 0; i < count / 2; ++i) {
            const Float a = x[i], b = x[i + count / 2];
            x[i] = (a + b) * kHalfRoot;
            x[i + count / 2] = (a - b) * kHalfRoot;
        }
    }
}

}  // namespace lutra
