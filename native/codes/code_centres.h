// Centres that codes are taken against: one for all vectors, or, where these lie in clusters, several, of which each
// vector has the nearest. Residuals of a cluster are as short as it is narrow, and so are their codes' errors.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "code_arithmetic.h"
#include "rotation.h"
#include "topk.h"

namespace lutra {

class Quantizer;
class QueryCode;

// Immutable.
class CodeCentres {
  public:
    // `centres` [count, dimension] are copied; nullptr is the zero vector. count: at least 1.
    CodeCentres(const float* centres, std::size_t count, std::size_t dimension, std::size_t padded_dimension);

    std::size_t count() const { return count_; }
    // [padded_dimension]
    const float* centre(std::size_t number) const { return centres_.get() + number * padded_dimension_; }

    // The number of the one nearest to a vector [dimension], of its direction under cosine; the first of equally near
    // ones. The same at every SIMD level.
    std::uint32_t nearest(const float* vector, Metric metric) const;

  private:
    std::size_t count_;
    std::size_t dimension_;
    std::size_t padded_dimension_;
    std::unique_ptr<float[], AlignedDelete> centres_;  // [count, padded_dimension]
};

// One query against each of a quantizer's centres, made when it is first asked for. Thread-safe.
class QueriesByCentre {
  public:
    // The quantizer has to stay; `vector` is copied.
    QueriesByCentre(const Quantizer& quantizer, const float* vector, float bound_sigmas);
    ~QueriesByCentre();

    // `number`: one past the last is taken for the last.
    const QueryCode& of(std::uint32_t number) const;

  private:
    const Quantizer& quantizer_;
    std::vector<float> vector_;
    float bound_sigmas_;
    mutable std::vector<std::atomic<const QueryCode*>> made_;
};

}  // namespace lutra
