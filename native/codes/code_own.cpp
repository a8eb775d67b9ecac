// Every vector is asked for by itself when it is coded. Its code's error is at right angles to its residual: what the
// estimate of its own distance is off is the rounding of the query and nothing else, or, under inner product, what of the
// error lies along the centre. Who is beyond the bound then was unlucky: the bound of that one record is made wider until
// it holds.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "codes.h"

namespace lutra {

namespace {

// Of the squared length of a residual: an estimate of a vector's own distance that is farther off says nothing.
constexpr double kOwnErrorMax = 0.5;
// What bounds of products allow of the code's error; of the query's rounding they always allow as much.
constexpr float kProductSigmas = 3.0f;
// Of a product: what float32 leaves out of it.
constexpr double kProductError = 0x1p-20;

}  // namespace

Described Quantizer::try_own(const float* vector, std::uint8_t* record, std::uint32_t centre, const Prepared& prepared,
                             const float* rotated) const {
    const bool is_product = metric_ == Metric::kDotProduct;
    const QueryCode query = is_product ? QueryCode(*this, vector, kProductSigmas, centre)
                                       : QueryCode(*this, vector, 0, centre, prepared, rotated);
    double own = metric_ == Metric::kCosine && prepared.squared.vector == 0 ? 1 : 0;
    if (is_product) {
        for (std::size_t i = 0; i < dimension_; ++i) own -= static_cast<double>(vector[i]) * vector[i];
    }
    CodeFactors factors;
    std::memcpy(&factors, record + code_bytes(), sizeof factors);
    const float estimate = query.estimate(record);
    const double length = unpack_factors(factors).norm;
    const double unsure = is_product ? kProductError * -own : 0;
    const double far = kOwnErrorMax * length * (is_product ? std::sqrt(-own) : length) + unsure;
    if (factors.tells_nothing() || std::abs(unpack_distance(estimate) - own) > far) return Described::kHardly;
    Described described = Described::kWell;
    while (unpack_distance(query.lower_bound(record, estimate)) > own + unsure) {
        if ((factors.scale_and_ratio & 0xffu) == 0xffu) return Described::kHardly;
        ++factors.scale_and_ratio;  // the ratio's next step
        std::memcpy(record + code_bytes(), &factors, sizeof factors);
        described = Described::kRaised;
    }
    return described;
}

}  // namespace lutra
