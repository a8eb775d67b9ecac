#include "rotation.h"

#include <bit>
#include <cmath>

namespace lutra {

std::uint64_t next_random(std::uint64_t& state) {
    state += 0x9e3779b97f4a7c15;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

Rotation::Rotation(std::size_t dimension, std::uint64_t seed)
    : size_((dimension + kRotationMultiple - 1) / kRotationMultiple * kRotationMultiple),
      window_(std::bit_floor(size_)),
      rounds_(window_ == size_ ? 3 : 4),
      factors_(rounds_ * size_) {
    const float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(window_)));
    std::uint64_t bits = 0;
    for (std::size_t i = 0; i < factors_.size(); ++i) {
        if (i % 64 == 0) bits = next_random(seed);
        const std::size_t at = i % size_;
        const bool first = i / size_ % 2 == 0;
        const bool inside = first ? at < window_ : at >= size_ - window_;
        const float sign = (bits >> (i % 64) & 1) != 0 ? -1.0f : 1.0f;
        factors_[i] = inside ? sign * scale : sign;
    }
}

}  // namespace lutra
