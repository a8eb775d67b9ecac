// Product quantisation (Jégou, Douze & Schmid, PAMI 2011): a byte for each of some groups of dimensions, the number of
// the nearest of 256 centroids there; distances from tables of the query's distances to every centroid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "code_dot.h"
#include "topk.h"

namespace lutra {

inline constexpr std::size_t kProductCentroids = 256;

// Immutable once trained: any number of threads may use one.
class ProductQuantizer {
  public:
    // k-means over at most 16,384 rows of `vectors` [count, dimension], which must be finite, in 8 rounds; none where
    // count is 0, when all centroids are zero. groups: 1 to dimension; 0 threads: as many as the process may use.
    // Under Metric::kCosine vectors and queries are brought to length 1 first.
    ProductQuantizer(const float* vectors, std::size_t count, std::size_t dimension, std::size_t groups, Metric metric,
                     std::uint64_t seed, unsigned threads, CodeLevel level = code_levels().front());

    std::size_t dimension() const { return dimension_; }
    Metric metric() const { return metric_; }
    std::size_t record_bytes() const { return groups_; }

    // Fills records [count, record_bytes].
    void encode(const float* vectors, std::size_t count, std::uint8_t* records, unsigned threads) const;

  private:
    friend class ProductQuery;

    std::size_t begin(std::size_t group) const { return group * dimension_ / groups_; }
    // [dimensions of the group, 256]
    const float* centroids(std::size_t group) const { return centroids_.data() + begin(group) * kProductCentroids; }
    void train(std::size_t group, const std::vector<float>& sample, std::uint64_t seed);

    std::size_t dimension_;
    std::size_t groups_;
    Metric metric_;
    CodeLevel level_;
    std::vector<float> centroids_;
};

// One query's tables. Immutable; may outlive its quantizer.
class ProductQuery {
  public:
    ProductQuery(const ProductQuantizer& quantizer, const float* vector);

    std::size_t record_bytes() const { return groups_; }

    // The distance from the query to what the record stands for, of the kind `topk` gives.
    float estimate(const std::uint8_t* record) const;
    void estimate_batch(const std::uint8_t* const* records, std::size_t count, float* out) const;
    void estimate_range(const std::uint8_t* records, std::size_t count, float* out) const;

    // Product codes keep nothing of their error.
    float lower_bound(const std::uint8_t*, float) const { return -std::numeric_limits<float>::infinity(); }
    float loose_lower_bound(const std::uint8_t*, float) const { return -std::numeric_limits<float>::infinity(); }
    float upper_bound(const std::uint8_t*, float) const { return std::numeric_limits<float>::infinity(); }

  private:
    std::size_t groups_;
    float offset_;
    std::vector<float> tables_;  // [groups, 256]
};

}  // namespace lutra
