#include "code_centres.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "codes.h"

namespace lutra {

namespace {

// Elements side by side: sums then come out the same whatever the processor has.
constexpr std::size_t kLanes = 16;
static_assert(kRotationMultiple % kLanes == 0);

typedef float Lanes __attribute__((vector_size(4 * kLanes)));

float squared_distance(const float* a, const float* b, std::size_t size) {
    Lanes sums = {};
    for (std::size_t at = 0; at < size; at += kLanes) {
        Lanes x, y;
        std::memcpy(&x, a + at, sizeof x);
        std::memcpy(&y, b + at, sizeof y);
        const Lanes difference = x - y;
        sums += difference * difference;
    }
    float sum = 0;
    for (std::size_t lane = 0; lane < kLanes; ++lane) sum += sums[lane];
    return sum;
}

}  // namespace

CodeCentres::CodeCentres(const float* centres, std::size_t count, std::size_t dimension, std::size_t padded_dimension)
    : count_(count),
      dimension_(dimension),
      padded_dimension_(padded_dimension),
      centres_(aligned_array<float>(count * padded_dimension)) {
    std::fill_n(centres_.get(), count * padded_dimension, 0.0f);
    if (centres == nullptr) return;
    for (std::size_t i = 0; i < count; ++i) {
        std::copy_n(centres + i * dimension, dimension, centres_.get() + i * padded_dimension);
    }
}

std::uint32_t CodeCentres::nearest(const float* vector, Metric metric) const {
    if (count_ == 1) return 0;
    alignas(64) float padded[kPaddedDimensionMax] = {};
    double squared = 0;
    for (std::size_t i = 0; i < dimension_; ++i) squared += static_cast<double>(vector[i]) * vector[i];
    const double length = metric == Metric::kCosine && squared > 0 ? std::sqrt(squared) : 1;
    for (std::size_t i = 0; i < dimension_; ++i) padded[i] = static_cast<float>(vector[i] / length);
    std::uint32_t best = 0;
    float least = std::numeric_limits<float>::infinity();  // which any centre may be, of extreme vectors
    for (std::size_t i = 0; i < count_; ++i) {
        const float distance = squared_distance(padded, centre(i), padded_dimension_);
        if (!(distance < least)) continue;
        least = distance;
        best = static_cast<std::uint32_t>(i);
    }
    return best;
}

QueriesByCentre::QueriesByCentre(const Quantizer& quantizer, const float* vector, float bound_sigmas)
    : quantizer_(quantizer),
      vector_(vector, vector + quantizer.dimension()),
      bound_sigmas_(bound_sigmas),
      made_(quantizer.centre_count()) {}

QueriesByCentre::~QueriesByCentre() {
    for (const auto& one : made_) delete one.load(std::memory_order_relaxed);
}

const QueryCode& QueriesByCentre::of(std::uint32_t number) const {
    const std::size_t place = std::min<std::size_t>(number, made_.size() - 1);
    const QueryCode* found = made_[place].load(std::memory_order_acquire);
    if (found != nullptr) return *found;
    std::unique_ptr<const QueryCode> fresh(new QueryCode(quantizer_, vector_.data(), bound_sigmas_, place));
    if (made_[place].compare_exchange_strong(found, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
    return *found;
}

}  // namespace lutra
