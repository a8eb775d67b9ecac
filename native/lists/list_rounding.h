// Vectors rounded to steps of int8.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace lutra {

inline float largest_side(const float* values, std::size_t size) {
    float most = 0;
    for (std::size_t i = 0; i < size; ++i) most = std::max(most, std::abs(values[i]));
    return most;
}

struct RoundedSide {
    float squared;  // length of the vector as it was
    float error;    // how far it is from the rounded one
};

// Fills `rounded` [size] with the nearest multiples of `step`, -127 to 127; zeros where the step is 0.
inline RoundedSide round_side(const float* values, std::size_t size, float step, std::int8_t* rounded) {
    const float per_unit = step > 0 && std::isfinite(1 / step) ? 1 / step : 0;
    double squared = 0, error = 0;
    for (std::size_t i = 0; i < size; ++i) {
        const float steps = std::clamp(values[i] * per_unit, -127.0f, 127.0f);
        rounded[i] = static_cast<std::int8_t>(std::nearbyint(steps == steps ? steps : 0.0f));
        const double off = static_cast<double>(values[i]) - static_cast<double>(rounded[i]) * step;
        squared += static_cast<double>(values[i]) * values[i];
        error += off * off;
    }
    return {static_cast<float>(squared), static_cast<float>(std::sqrt(error))};
}

inline std::int32_t squared_sum(const std::int8_t* values, std::size_t size) {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < size; ++i) sum += std::int32_t{values[i]} * values[i];
    return sum;
}

}  // namespace lutra
