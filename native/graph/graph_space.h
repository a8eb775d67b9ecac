// The rows a graph is built over, and squared distances between them: on int8 scalar codes or on the float32 input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "code_basis.h"
#include "distance.h"
#include "topk.h"

namespace lutra {

// How rows are compared while building.
enum class Precision { kInt8, kFloat32 };

struct GraphVectors {
    const float* data;  // [row_count, dimension], finite, unchanged while a space over them is in use
    std::size_t row_count;
    std::size_t dimension;
    Metric metric;
    // Directions that tell rows apart nearly as well as all dimensions do; nullptr: none. Not with inner products.
    const CodeBasis* basis = nullptr;
};

// A row made ready to be compared with others. Each thread needs its own.
struct Probe {
    std::uint32_t row = 0;
    std::int32_t norm = 0;
    std::int32_t sum = 0;
    std::vector<std::int8_t> codes;
};

// Squared distances that order as the metric does: Euclidean as it is, cosine by vectors made of length 1 (those of
// length 0 stay), inner product by a dimension added that makes all lengths equal (Bachrach et al., RecSys'14).
class RowSpace {
  public:
    virtual ~RowSpace() = default;

    std::size_t row_count() const { return row_count_; }
    virtual void load(std::uint32_t row, Probe& probe) const = 0;
    // distances[i] is that from the probe to rows[i].
    virtual void distances(const Probe& probe, const std::uint32_t* rows, std::size_t count,
                           float* distances) const = 0;
    virtual void prefetch(std::span<const std::uint32_t> rows) const = 0;
    virtual Precision precision() const = 0;
    // Memory this space holds, without the vectors it was made over.
    virtual std::size_t size_bytes() const = 0;

  protected:
    explicit RowSpace(std::size_t row_count) : row_count_(row_count) {}

  private:
    std::size_t row_count_;
};

// Compares the vectors themselves; holds at most two floats a row.
std::unique_ptr<RowSpace> float32_space(const GraphVectors& vectors, SimdLevel level, unsigned threads);

// Compares int8 codes of the dimensions, or of the basis' directions where there is one: holds so many bytes, rounded
// up to 64, and one float a row. Distances are whole numbers in units of the codes' step, the same at every SIMD level.
std::unique_ptr<RowSpace> int8_space(const GraphVectors& vectors, SimdLevel level, unsigned threads);

// The share of the ten nearest rows by `coarse` that are among the ten nearest by `exact`, equal distances included,
// for a sample of rows. 1 where there are fewer than 100 rows.
double agreement(const RowSpace& coarse, const RowSpace& exact, unsigned threads);

}  // namespace lutra
